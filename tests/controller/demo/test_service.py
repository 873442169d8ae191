import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat_controller.demo import processes, service

MIB = 1 << 20


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def running(port: int, tmp_path: Path) -> Iterator[processes.Started]:
    argv = (sys.executable, "-m", service.__name__, "--name", "web", "--port", str(port))
    started = processes.start(argv, tmp_path / "log")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    yield started
    processes.end([started])


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_it_answers(running: processes.Started, port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        assert answer.read() == b"ok\n"


def test_told_to_leak_it_grows(running: processes.Started, port: int) -> None:
    before = resident(running.pid)
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/leak", method="POST"), timeout=5).close()
    end = time.monotonic() + 20
    while time.monotonic() < end and resident(running.pid) < before + 8 * MIB:
        time.sleep(0.02)
    assert resident(running.pid) >= before + 8 * MIB
