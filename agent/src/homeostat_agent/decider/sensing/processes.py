"""The processes that matter: those of declared programs and of services' process groups.

Invariant: between full scans only processes already known are read, each by its number and start time, so that a
reused number is never taken for the process it once was.
"""

from collections.abc import Iterable
from pathlib import Path

from homeostat_agent.boot_clock import since_boot_s
from homeostat_agent.config import Program
from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.decider.sensing.port import ProcessReading
from homeostat_agent.procfs import CLOCK_TICKS, PAGE_BYTES, PROC, ProcessStat, parse_stat, pids, read_once, read_stat
from homeostat_agent.program_matching import identity, pattern

KNOWN_MAX = 4096
# Descriptors that may stay open for known processes: a quarter of the usual limit of 1024 per process.
KEPT_MAX = 256
# What a younger process runs is looked at again at the next scan: it may not have come to its exec yet.
SETTLED_S = 10.0


class Known:
    """One process that is read at every sample."""

    __slots__ = ("_file", "cpu_percent", "programs", "read_at", "stat")

    def __init__(self, stat: ProcessStat, programs: tuple[str, ...], file: KeptFile | None) -> None:
        self.stat = stat
        self.programs = programs
        self.cpu_percent: float | None = None
        self.read_at = since_boot_s()
        self._file = file

    @property
    def kept(self) -> bool:
        """Whether it holds a descriptor."""
        return self._file is not None

    def refresh(self, proc: Path) -> bool:
        """Read it again; say whether it is still there."""
        stat = parse_stat(self._file.read()) if self._file else read_stat(self.stat.pid, proc)
        if stat is None or stat.ended or stat.started != self.stat.started:
            return False
        now = since_boot_s()
        if now > self.read_at:
            used = (stat.ticks - self.stat.ticks) / CLOCK_TICKS
            self.cpu_percent = max(100.0 * used / (now - self.read_at), 0.0)
        self.stat, self.read_at = stat, now
        return True

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file:
            self._file.close()


class ProcessTable:
    """All known processes, and the counts of the last full scan."""

    def __init__(self, programs: Iterable[Program], proc: Path = PROC) -> None:
        self._proc = proc
        self._patterns = tuple(pattern(one) for one in programs)
        self._known: dict[int, Known] = {}
        self._verdicts: dict[int, tuple[int, bytes, tuple[str, ...]]] = {}
        self.count = 0
        self.zombies: int | None = None

    def refresh(self, leaders: frozenset[int], *, full: bool) -> None:
        """Read the known processes again; with `full` look at all of them for more.

        `leaders` are the first processes of the services' groups or sessions. A leader that was not known asks for a
        full scan of its own accord.
        """
        for pid, known in list(self._known.items()):
            if not known.refresh(self._proc):
                self._forget(pid)
        present = pids(self._proc)
        self.count = len(present)
        if full or any(pid not in self._known and read_stat(pid, self._proc) for pid in leaders):
            self._scan(present, leaders)

    def group(self, leader: int) -> tuple[ProcessStat, ...]:
        """Return the known processes of a leader's group or session, as they were at the last refresh."""
        stats = (known.stat for known in self._known.values())
        return tuple(one for one in stats if leader in (one.group, one.session))

    def readings(self) -> tuple[ProcessReading, ...]:
        """Return the processes of declared programs."""
        return tuple(
            ProcessReading(name, pid, known.stat.started, known.cpu_percent, known.stat.resident_bytes)
            for pid, known in sorted(self._known.items())
            for name in known.programs
        )

    def close(self) -> None:
        """Forget everything and give all descriptors back."""
        for pid in list(self._known):
            self._forget(pid)

    def _scan(self, present: list[int], leaders: frozenset[int]) -> None:
        zombies = 0
        verdicts: dict[int, tuple[int, bytes, tuple[str, ...]]] = {}
        for pid in present:
            stat = read_stat(pid, self._proc)
            if stat is None:
                continue
            if stat.ended:
                zombies += 1
                continue
            programs = self._programs_of(stat)
            verdicts[pid] = (stat.started, stat.comm, programs)
            self._place(stat, programs, wanted=bool(programs) or not leaders.isdisjoint((stat.group, stat.session)))
        self.zombies = zombies
        self._verdicts = verdicts

    def _programs_of(self, stat: ProcessStat) -> tuple[str, ...]:
        if not self._patterns:
            return ()
        started, comm, programs = self._verdicts.get(stat.pid, (-1, b"", ()))
        young = since_boot_s() - stat.started / CLOCK_TICKS < SETTLED_S
        if (started, comm) == (stat.started, stat.comm) and not young:
            return programs
        runs = identity(stat.pid, self._proc)
        return tuple(one.name for one in self._patterns if one.matches(runs))

    def _place(self, stat: ProcessStat, programs: tuple[str, ...], *, wanted: bool) -> None:
        known = self._known.get(stat.pid)
        if known is not None and known.stat.started == stat.started:
            known.programs = programs
        elif wanted and len(self._known) < KNOWN_MAX:
            self._known[stat.pid] = Known(stat, programs, self._keep(stat.pid))
        if known is not None and not wanted:
            self._forget(stat.pid)

    def _keep(self, pid: int) -> KeptFile | None:
        if sum(known.kept for known in self._known.values()) >= KEPT_MAX:
            return None
        return KeptFile(f"{self._proc}/{pid}/stat", reopen=False)

    def _forget(self, pid: int) -> None:
        self._known.pop(pid).close()


def memory_bytes(stats: Iterable[ProcessStat], proc: Path = PROC) -> int:
    """Return what a group of processes holds in memory: each one's own pages, and the largest shared part once.

    For one process that is its resident size. A plain sum would count shared memory once per process.
    """
    own = shared_most = 0
    for stat in stats:
        f = read_once(f"{proc}/{stat.pid}/statm").split()
        resident, shared = (int(f[1]), int(f[2])) if len(f) >= 3 else (0, 0)
        own += resident - shared
        shared_most = max(shared_most, shared)
    return (own + shared_most) * PAGE_BYTES


def cpu_s(stats: Iterable[ProcessStat]) -> float:
    """Return the processor time of a group in seconds, ended children that were waited for included."""
    return sum(one.ticks + one.ended_children_ticks for one in stats) / CLOCK_TICKS
