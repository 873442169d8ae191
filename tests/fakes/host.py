"""A machine made of plain values, for tests of what decides: set what is true, then read it through the port.

Held to tests/contracts/test_host.py like the real ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from homeostat.sample import Sample
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.sensing.port import (
    FolderReading,
    ProcessReading,
    Reading,
    ServiceReading,
    ServiceStatus,
)

MIB = 1 << 20
FIRST_PID = 1000
# What a quiet small server shows.
QUIET = {
    "cpu.busy": 4.0,
    "cpu.iowait": 0.2,
    "load.1m": 0.05,
    "memory.used": 30.0,
    "memory.available": 2.0 * 1024 * MIB,
    "psi.cpu.some": 0.3,
    "psi.memory.some": 0.0,
    "psi.memory.full": 0.0,
    "psi.io.some": 0.2,
    "psi.io.full": 0.1,
    "disk.used.max": 40.0,
    "disk.inodes.max": 10.0,
    "disk.read": 1000.0,
    "disk.write": 20_000.0,
    "disk.busy": 0.5,
    "network.received": 5000.0,
    "network.sent": 4000.0,
    "network.errors": 0.0,
    "descriptors.used": 1.0,
    "processes.count": 120.0,
    "processes.running": 1.0,
    "processes.zombie": 0.0,
    "processes.started": 0.5,
    "clock.step": 0.0,
}
RATES = frozenset(QUIET) - {
    "load.1m",
    "memory.used",
    "memory.available",
    "disk.used.max",
    "disk.inodes.max",
    "descriptors.used",
    "processes.count",
    "processes.running",
    "processes.zombie",
}


class FakeHost:
    """`config` says what is declared; every service starts out running, every folder at half of its limit."""

    def __init__(self, config: AgentConfig, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.values = dict(QUIET)
        self.boot = "boot-1"
        self.disk_fullest = "/"
        self._now = now
        self._pid = FIRST_PID
        self._services = {one.name: ServiceReading(one.name, ServiceStatus.DOWN) for one in config.service}
        self._folders = {one.name: _folder(one.name, one.limit_mib or 1024.0, 50.0) for one in config.folder}
        self._processes: dict[int, ProcessReading] = {}
        self._seen: set[int] = set()
        self._reads = 0
        for name in self._services:
            self.run(name)

    # The port.

    def read(self) -> Reading:
        self._reads += 1
        values = {name: value for name, value in self.values.items() if self._reads > 1 or name not in RATES}
        processes = tuple(
            one if one.pid in self._seen else replace(one, cpu_percent=None) for one in self._processes.values()
        )
        self._seen = set(self._processes)
        return Reading(
            Sample(self._now(), values),
            tuple(self._services.values()),
            processes,
            tuple(self._folders.values()),
            self.disk_fullest,
            self.disk_fullest,
        )

    def service(self, name: str) -> ServiceReading:
        return self._services[name]

    def boot_id(self) -> str:
        return self.boot

    def facts(self) -> Sequence[tuple[str, str]]:
        return (("hostname", "fake"), ("os", "Debian GNU/Linux"), ("os_version", "12"), ("architecture", "x86_64"))

    # The script.

    def run(self, service: str, *, memory_bytes: int = 20 * MIB) -> int:
        """(Re)start a service; return its new main process."""
        pid = self._next_pid()
        self._services[service] = ServiceReading(
            service, ServiceStatus.RUNNING, pid, started=pid * 10, memory_bytes=memory_bytes, cpu_s=1.0
        )
        return pid

    def end(self, service: str, status: ServiceStatus = ServiceStatus.DOWN) -> int:
        """Let a service's main process end; return which it was."""
        pid = self._services[service].pid
        self._services[service] = ServiceReading(service, status)
        return pid

    def freeze(self, service: str, *, stopped: bool = True) -> None:
        """Stop a service's main process as SIGSTOP does, or let it go on."""
        self._services[service] = replace(self._services[service], stopped=stopped)

    def answer(self, service: str, *, answers: bool | None, detail: str = "HTTP status 200") -> None:
        """Set what the service's probe finds."""
        self._services[service] = replace(
            self._services[service], answers=answers, answer_detail=detail, answer_age_s=1.0
        )

    def hold(self, service: str, memory_bytes: int) -> None:
        """Let a service hold this much memory."""
        self._services[service] = replace(self._services[service], memory_bytes=memory_bytes)

    def burn(self, program: str, cpu_percent: float, *, pid: int = 0) -> int:
        """Run a process of a program at this much CPU; return its pid. With `pid` change one that runs."""
        pid = pid or self._next_pid()
        self._processes[pid] = ProcessReading(program, pid, pid * 10, cpu_percent, 10 * MIB)
        return pid

    def stop_process(self, pid: int) -> None:
        """Let a program's process end."""
        del self._processes[pid]

    def fill(self, folder: str, used_percent: float) -> None:
        """Fill a folder to this share of its limit."""
        limit_mib = self._folders[folder].limit_bytes / MIB
        self._folders[folder] = _folder(folder, limit_mib, used_percent)

    def _next_pid(self) -> int:
        self._pid += 1
        return self._pid


def _folder(name: str, limit_mib: float, used_percent: float) -> FolderReading:
    limit = int(limit_mib * MIB)
    return FolderReading(name, used_percent, int(limit * used_percent / 100), limit, 10)
