import os
import socket
import subprocess
import sys
from pathlib import Path

PROGRAM = "from homeostat_agent.decider import notify; print(notify.notify(notify.READY))"


def told(address: str) -> str:
    environment = {**os.environ, "NOTIFY_SOCKET": address}
    argv = [sys.executable, "-c", PROGRAM]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        assert told(str(tmp_path / "notify")) == "True"
        assert listener.recv(100) == b"READY=1"


def test_a_name_in_no_file_system_is_reached_too() -> None:
    name = f"homeostat-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(10)
        assert told("@" + name) == "True"
        assert listener.recv(100) == b"READY=1"


def test_without_one_nobody_is_told(tmp_path: Path) -> None:
    assert told("") == "False"
    assert told(str(tmp_path / "nobody")) == "False"
