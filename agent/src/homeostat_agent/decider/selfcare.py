"""The agent's own limits: it must never be what is wrong with an endpoint.

Too much CPU slows the sampling down, step by step, and calm brings it back; too much memory or too little disk is said
once. Far too much memory ends the process, and the service manager starts it anew.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
# Of one cpu, over CPU_WINDOW_S: at rest the agent takes well under 1 %.
CPU_PERCENT_MAX = 5.0
CPU_WINDOW_S = 60.0
SLOWER_MAX = 8
# Decider and actuator together; at rest they take some 80 MiB.
RSS_BYTES_MAX = 256 * MIB
RSS_BYTES_FATAL = 512 * MIB
# Beside the spool's own bound: room for the write-ahead log and the state files.
DISK_FREE_BYTES_LEAST = 32 * MIB


class TooLarge(Exception):  # noqa: N818  # what it has become
    """The process has grown beyond RSS_BYTES_FATAL; starting anew is the only cure."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the agent takes now."""

    cpu_percent: float
    rss_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to be said once: a code and a sentence."""

    code: str
    sentence: str


class SelfCare:
    """Judges what the agent takes, once per sample; `slower` is by how much the sampling is to be stretched."""

    def __init__(self) -> None:
        self.slower = 1
        self._said: set[str] = set()

    def judge(self, usage: Usage) -> tuple[Finding, ...]:
        """Take one measurement; return what is new to say. Raises TooLarge."""
        if usage.rss_bytes > RSS_BYTES_FATAL:
            raise TooLarge(f"the agent holds {usage.rss_bytes / MIB:.0f} MiB")
        self._pace(usage.cpu_percent)
        mib = usage.rss_bytes / MIB
        found = {
            "agent-cpu": (
                self.slower > 1,
                f"The agent took {usage.cpu_percent:.1f} % of a cpu; it samples {self.slower} times as slowly.",
            ),
            "agent-memory": (usage.rss_bytes > RSS_BYTES_MAX, f"The agent holds {mib:.0f} MiB of memory."),
            "agent-disk": (
                usage.disk_free_bytes < DISK_FREE_BYTES_LEAST,
                f"Only {usage.disk_free_bytes / MIB:.0f} MiB are free where the agent keeps its records.",
            ),
        }
        new = tuple(
            Finding(code, sentence) for code, (holds, sentence) in found.items() if holds and code not in self._said
        )
        self._said = {code for code, (holds, _) in found.items() if holds}
        return new

    def _pace(self, cpu_percent: float) -> None:
        if cpu_percent > CPU_PERCENT_MAX:
            self.slower = min(self.slower * 2, SLOWER_MAX)
        elif cpu_percent < CPU_PERCENT_MAX / 4 and self.slower > 1:
            self.slower //= 2


class Meter:
    """Measures what the decider and its actuator take. `clock` gives seconds that only go forward."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._measured_at = clock()
        self._cpu_s: dict[int, float] = {}
        self._cpu_percent = 0.0

    def measure(self, actuator_pid: int) -> Usage:
        """Return the usage now; the CPU share is that of the last whole window."""
        pids = [os.getpid(), *([actuator_pid] if actuator_pid else [])]
        elapsed = self._clock() - self._measured_at
        if elapsed >= CPU_WINDOW_S:
            now = {pid: _cpu_s(pid) for pid in pids}
            used = sum(now[pid] - self._cpu_s[pid] for pid in pids if pid in self._cpu_s)
            self._cpu_percent = 100.0 * max(used, 0.0) / elapsed
            self._measured_at, self._cpu_s = self._clock(), now
        elif not self._cpu_s:
            self._cpu_s = {pid: _cpu_s(pid) for pid in pids}
        return Usage(self._cpu_percent, sum(map(_rss_bytes, pids)), _free_bytes(self._folder))


def _cpu_s(pid: int) -> float:
    fields = _fields(pid, "stat")
    # utime and stime, counted from the state that follows the name.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else 0.0


def _rss_bytes(pid: int) -> int:
    fields = _fields(pid, "statm")
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _fields(pid: int, name: str) -> list[str]:
    if sys.platform != "linux":
        return []
    try:
        return Path(f"/proc/{pid}/{name}").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _free_bytes(folder: Path) -> int:
    try:
        if hasattr(os, "statvfs"):
            found = os.statvfs(folder)
            return found.f_bavail * found.f_frsize
        import shutil  # noqa: PLC0415  # it costs 0.3 MB, and is needed on Windows only

        return shutil.disk_usage(folder).free
    except OSError:
        return 0
