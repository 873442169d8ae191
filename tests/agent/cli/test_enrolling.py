import subprocess
import sys
from pathlib import Path

import pytest

AGENT = str(Path(sys.executable).with_name("homeostat-agent"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(f'[agent]\ndata_dir = "{tmp_path}/data"\n[actuator]\ndata_dir = "{tmp_path}/actuator"\n')
    return file


def enrol(config: Path, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    argv = [AGENT, "enrol", "--config", str(config), *arguments]
    return subprocess.run(argv, input=token, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_no_token_is_refused_with_what_to_do(config: Path) -> None:
    said = enrol(config, token="hello")
    assert said.returncode == 1
    assert "This is no join token" in said.stderr
    assert "next:" in said.stderr


def test_a_token_file_is_read(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hst1:damaged!")
    said = enrol(config, "--token-file", str(file))
    assert said.returncode == 1
    assert "damaged" in said.stderr


def test_a_token_file_that_is_not_there_is_named(config: Path) -> None:
    said = enrol(config, "--token-file", "/nowhere/token")
    assert said.returncode == 1
    assert "/nowhere/token" in said.stderr


def test_a_token_cannot_be_given_as_an_argument(config: Path) -> None:
    said = enrol(config, "--token", "hst1:x")
    assert said.returncode == 2
    assert "unrecognized arguments: --token" in said.stderr
