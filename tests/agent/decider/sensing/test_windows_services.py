import os
from pathlib import Path

import psutil
import pytest

from fakes import processes
from homeostat_agent.config import Service
from homeostat_agent.decider.sensing.port import ServiceReading, ServiceStatus
from homeostat_agent.decider.sensing.windows_services import WindowsService, read_service, started

UNIT = Service("spooler", unit="Spooler")


def nobody(_: str) -> WindowsService | None:
    return None


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (WindowsService("stopped"), ServiceStatus.DOWN),
        (WindowsService("start_pending"), ServiceStatus.UNKNOWN),
        (WindowsService("stop_pending"), ServiceStatus.UNKNOWN),
        (WindowsService("paused"), ServiceStatus.UNKNOWN),
        (None, ServiceStatus.UNKNOWN),
    ],
)
def test_what_the_service_control_manager_says_means(said: WindowsService | None, status: ServiceStatus) -> None:
    assert read_service(UNIT, lambda _: said) == ServiceReading("spooler", status)


def test_a_service_that_runs_is_measured_with_its_children() -> None:
    spawn = "import subprocess, time; subprocess.Popen(['/bin/sleep', '60']); time.sleep(60)"
    with processes.running(*processes.python(spawn)) as main:
        processes.until(lambda: bool(psutil.Process(main.pid).children()), "its child")
        found = read_service(UNIT, lambda _: WindowsService("running", main.pid))
        assert (found.status, found.pid) == (ServiceStatus.RUNNING, main.pid)
        assert found.started == started(psutil.Process(main.pid))
        assert found.memory_bytes > psutil.Process(main.pid).memory_info().rss


def test_a_process_that_is_gone_by_now_is_down() -> None:
    found = read_service(UNIT, lambda _: WindowsService("running", 2**22 + 7))
    assert found == ServiceReading("spooler", ServiceStatus.DOWN)


def test_a_process_group_by_its_pid_file(tmp_path: Path) -> None:
    service = Service("web", command=("x",), pid_file=str(tmp_path / "pid"))
    assert read_service(service, nobody).status is ServiceStatus.DOWN
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    assert read_service(service, nobody).pid == os.getpid()
    os.utime(tmp_path / "pid", (1.0, 1.0))  # older than the process: the number was given away since
    assert read_service(service, nobody).status is ServiceStatus.DOWN
    (tmp_path / "pid").write_text("99999999\n")
    assert read_service(service, nobody).status is ServiceStatus.DOWN


def test_a_pid_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    service = Service("web", command=("x",), pid_file=str(tmp_path))
    assert read_service(service, nobody).status is ServiceStatus.UNKNOWN
