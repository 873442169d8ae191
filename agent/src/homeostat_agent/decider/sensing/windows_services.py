"""The state of Windows services and of process groups, by psutil.

Invariant: asking Windows for a service stands behind one function, `windows_service`; everything else here is told what
it said, and works wherever psutil does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from homeostat_agent.config import Service
from homeostat_agent.decider.sensing.port import ServiceReading, ServiceStatus
from homeostat_agent.pid_files import SLACK_S, read_pid_file

_STATUSES = {
    "running": ServiceStatus.RUNNING,
    "stopped": ServiceStatus.DOWN,
}


@dataclass(frozen=True, slots=True)
class WindowsService:
    """What the service control manager says: `status` in psutil's words, `pid` 0 unless it runs."""

    status: str
    pid: int = 0


ServiceOf = Callable[[str], WindowsService | None]


def windows_service(name: str) -> WindowsService | None:
    """Ask Windows for a service; None where there is none of that name or it may not be asked for."""
    get: Any = getattr(psutil, "win_service_get")  # noqa: B009  # psutil has it on Windows only
    try:
        service = get(name)
        return WindowsService(service.status(), service.pid() or 0)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None


def read_service(service: Service, service_of: ServiceOf) -> ServiceReading:
    """Read one declared service now."""
    if not service.unit:
        return _read_group(service)
    found = service_of(service.unit)
    status = _STATUSES.get(found.status, ServiceStatus.UNKNOWN) if found else ServiceStatus.UNKNOWN
    if found is None or status is not ServiceStatus.RUNNING:
        return ServiceReading(service.name, status)
    return _measured(service.name, found.pid)


def started(process: psutil.Process) -> int:
    """Return when a process started, as a number that tells it from a later one of the same pid (ms)."""
    return int(process.create_time() * 1000)


def _read_group(service: Service) -> ServiceReading:
    try:
        written = read_pid_file(service.pid_file)
    except OSError:
        return ServiceReading(service.name, ServiceStatus.UNKNOWN)
    if written is None:
        return ServiceReading(service.name, ServiceStatus.DOWN)
    try:
        born_s = psutil.Process(written.pid).create_time()
    except psutil.Error:
        return ServiceReading(service.name, ServiceStatus.DOWN)
    if born_s > written.modified_ns / 1e9 + SLACK_S:  # the number was given to another process since
        return ServiceReading(service.name, ServiceStatus.DOWN)
    return _measured(service.name, written.pid)


def _measured(name: str, pid: int) -> ServiceReading:
    """Read the main process; its group are its children and theirs."""
    try:
        main = psutil.Process(pid)
        with main.oneshot():
            born, state = started(main), main.status()
        if state in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return ServiceReading(name, ServiceStatus.DOWN)
        group = [main, *main.children(recursive=True)]
    except psutil.Error:
        return ServiceReading(name, ServiceStatus.DOWN)
    memory, cpu_s = 0, 0.0
    for one in group:
        try:
            with one.oneshot():
                memory += one.memory_info().rss
                times = one.cpu_times()
                cpu_s += times.user + times.system
        except psutil.Error:  # it ended meanwhile, or is not ours to read
            continue
    return ServiceReading(name, ServiceStatus.RUNNING, pid, born, state == psutil.STATUS_STOPPED, memory, cpu_s)
