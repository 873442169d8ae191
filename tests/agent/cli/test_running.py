import subprocess
import sys
from pathlib import Path

import pytest

AGENT = str(Path(sys.executable).with_name("homeostat-agent"))


def agent(command: str, config: Path) -> subprocess.CompletedProcess[str]:
    argv = [AGENT, command, "--config", str(config)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", ["run", "actuate"])
def test_what_cannot_start_says_why_and_what_to_do(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "agent.toml"
    # A folder below a file can be made by nobody, not even by root.
    folder = tmp_path / "file" / "data"
    config.write_text(
        f'[agent]\ndata_dir = "{folder}"\nrun_dir = "{tmp_path}/run"\n[actuator]\ndata_dir = "{folder}"\n'
    )
    said = agent(command, config)
    assert said.returncode == 1
    assert "does not start" in said.stderr
    assert "next: homeostat-agent doctor" in said.stderr
    assert "Traceback" not in said.stderr


def test_the_actuator_refuses_a_configuration_that_others_may_write(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[agent]\nrun_dir = "{tmp_path}/run"\n[actuator]\ndata_dir = "{tmp_path}/data"\n')
    config.chmod(0o666)
    said = agent("actuate", config)
    assert said.returncode == 1
    assert "writable by everyone" in said.stderr
