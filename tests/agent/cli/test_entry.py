import subprocess
import sys
from pathlib import Path

import pytest

from homeostat_agent.cli import entry

AGENT = str(Path(sys.executable).with_name("homeostat-agent"))


def agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([AGENT, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_command_and_the_exit_codes() -> None:
    said = agent("--help")
    assert said.returncode == 0
    assert all(name in said.stdout for name in (*entry.COMMANDS, "policy"))
    assert "5 not reachable" in said.stdout


@pytest.mark.parametrize("name", [*entry.COMMANDS, "policy show"])
def test_every_command_explains_itself(name: str) -> None:
    said = agent(*name.split(), "--help")
    assert said.returncode == 0
    assert "--config" in said.stdout


def test_a_command_that_is_none_is_a_mistake_of_use() -> None:
    said = agent("heal-everything")
    assert said.returncode == 2
    assert "Traceback" not in said.stderr


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    said = agent("status", "--config", str(tmp_path / "none.toml"))
    assert said.returncode == 2
    assert "none.toml: no such file" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_damaged_configuration_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[agent]\nname = 7\n")
    said = agent("doctor", "--config", str(file))
    assert said.returncode == 2
    assert "agent.name: must be a text" in said.stderr


def test_without_a_store_it_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'[agent]\ndata_dir = "{tmp_path}"\n')
    said = agent("status", "--config", str(file))
    assert said.returncode == 1
    assert "there is no store" in said.stderr
    assert "next: homeostat-agent doctor" in said.stderr
