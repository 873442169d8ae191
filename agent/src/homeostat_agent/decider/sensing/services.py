"""The state of each declared service: a process group by its pid file, a unit by what systemd says.

Invariant: a unit whose main process is alive, by number and start time, is running; systemd is asked only when that is
not so, at every ASK_EVERY-th reading, and for a reading at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from homeostat_agent.config import Probe, Service
from homeostat_agent.decider.sensing.cgroups import Cgroups
from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.decider.sensing.port import ServiceReading, ServiceStatus
from homeostat_agent.decider.sensing.probes import Probes
from homeostat_agent.decider.sensing.processes import ProcessTable, cpu_s, memory_bytes
from homeostat_agent.decider.sensing.unit_state import BusError, UnitAnswers, UnitState
from homeostat_agent.pid_files import PidFiles
from homeostat_agent.procfs import PROC, ProcessStat, parse_stat, read_stat

ASK_EVERY = 6

_RUNS = frozenset({"active", "reloading", "refreshing"})
_STATUSES = {"inactive": ServiceStatus.DOWN, "failed": ServiceStatus.FAILED}


def with_answer(reading: ServiceReading, probe: Probe, probes: Probes) -> ServiceReading:
    """Add the last answer of the service's present process, and have it asked again."""
    if reading.status is not ServiceStatus.RUNNING or not (probe.tcp or probe.http):
        return reading
    answer = probes.last(reading.name, reading.pid, probe)
    probes.ask(reading.name, reading.pid, probe)
    if answer is None:
        return reading
    return replace(reading, answers=answer.answers, answer_detail=answer.detail, answer_age_s=answer.age_s)


class Groups:
    """Services that are process groups."""

    def __init__(self, services: Iterable[Service], table: ProcessTable, proc: Path = PROC) -> None:
        self._services = tuple(one for one in services if not one.unit)
        self._files = PidFiles(proc)
        self._table = table
        self._proc = proc

    def leaders(self) -> frozenset[int]:
        """Return the leading process of each group that runs."""
        return frozenset(stat.pid for service in self._services if (stat := self._leader(service)) is not None)

    def read(self, service: Service) -> ServiceReading:
        """Read one group now; its members are those of the process table's last refresh."""
        try:
            leader = self._files.leader(service.pid_file)
        except OSError:
            return ServiceReading(service.name, ServiceStatus.UNKNOWN)
        if leader is None:
            return ServiceReading(service.name, ServiceStatus.DOWN)
        members = {one.pid: one for one in self._table.group(leader.pid)} | {leader.pid: leader}
        return _running(service.name, leader, members.values(), self._proc)

    def _leader(self, service: Service) -> ProcessStat | None:
        try:
            return self._files.leader(service.pid_file)
        except OSError:
            return None


class Units:
    """Services that are units of systemd."""

    def __init__(self, services: Iterable[Service], systemd: UnitAnswers, cgroups: Cgroups, proc: Path = PROC) -> None:
        self._units = tuple(one.unit for one in services if one.unit)
        self._systemd = systemd
        self._cgroups = cgroups
        self._proc = proc
        self._states: dict[str, UnitState] = {}
        self._main: dict[str, tuple[KeptFile, int]] = {}
        self._readings = 0

    def refresh(self) -> None:
        """Ask systemd where that is needed."""
        due = self._readings % ASK_EVERY == 0
        self._readings += 1
        asked = self._units if due else [unit for unit in self._units if self._main_process(unit) is None]
        if asked:
            self._ask(asked)

    def read(self, service: Service, *, at_once: bool = False) -> ServiceReading:
        """Read one unit; with `at_once` systemd is asked first."""
        if at_once:
            self._ask([service.unit])
        main = self._main_process(service.unit)
        state = self._states.get(service.unit)
        if main is not None and state is not None and state.active in _RUNS:
            return self._measured(service.name, main, state.control_group)
        if state is None or state.load != "loaded":
            return ServiceReading(service.name, ServiceStatus.UNKNOWN)
        return ServiceReading(service.name, _status(state))

    def close(self) -> None:
        """Give all descriptors and the connection back."""
        self._systemd.close()
        for file, _ in self._main.values():
            file.close()
        self._main.clear()

    def _ask(self, units: Sequence[str]) -> None:
        try:
            states = self._systemd.states(units)
        except BusError:
            states = {}
        for unit in units:
            state = states.get(unit)
            if state is not None:
                self._take(state)
            elif self._main_process(unit) is None:  # what the kernel still shows alive needs no service manager
                self._states.pop(unit, None)

    def _take(self, state: UnitState) -> None:
        self._states[state.unit] = state
        known = self._main.pop(state.unit, None)
        if known is not None:
            known[0].close()
        if state.main_pid > 0:
            file = KeptFile(self._proc / str(state.main_pid) / "stat", reopen=False)
            stat = parse_stat(file.read())
            if stat is not None and not stat.ended:
                self._main[state.unit] = (file, stat.started)
            else:
                file.close()

    def _main_process(self, unit: str) -> ProcessStat | None:
        file, started = self._main.get(unit, (None, 0))
        stat = parse_stat(file.read()) if file else None
        return stat if stat is not None and stat.started == started and not stat.ended else None

    def _measured(self, name: str, main: ProcessStat, group: str) -> ServiceReading:
        memory, used_s = self._cgroups.memory_bytes(group), self._cgroups.cpu_s(group)
        reading = ServiceReading(name, ServiceStatus.RUNNING, main.pid, main.started, main.state == "T")
        if memory is not None and used_s is not None:
            return replace(reading, memory_bytes=memory, cpu_s=used_s)
        stats = [stat for pid in self._cgroups.pids(group) if (stat := read_stat(pid, self._proc)) is not None]
        counted = _running(name, main, stats or [main], self._proc)
        return replace(
            counted,
            memory_bytes=counted.memory_bytes if memory is None else memory,
            cpu_s=counted.cpu_s if used_s is None else used_s,
        )


def _running(name: str, leader: ProcessStat, members: Iterable[ProcessStat], proc: Path) -> ServiceReading:
    group = tuple(members)
    memory = memory_bytes(group, proc)
    return ServiceReading(
        name, ServiceStatus.RUNNING, leader.pid, leader.started, leader.state == "T", memory, cpu_s(group)
    )


def _status(state: UnitState) -> ServiceStatus:
    """Return what a unit's state means; one that starts or stops is neither up nor down yet."""
    if state.active in _RUNS:
        # Active without a main process that lives: a service of which systemd follows no process, or one just gone.
        return ServiceStatus.RUNNING if state.main_pid == 0 else ServiceStatus.UNKNOWN
    if state.sub in ("auto-restart", "auto-restart-queued"):
        return ServiceStatus.DOWN
    return _STATUSES.get(state.active, ServiceStatus.UNKNOWN)
