"""Linux's process table, as far as the actuator needs it. A process is a pid with its start time, never a pid alone.

What vanishes while it is looked at is absent; a zombie is no process: nothing of it runs any more.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from homeostat_agent.actuator.host.port import Moment
from homeostat_agent.boot_clock import since_boot_s
from homeostat_agent.procfs import CLOCK_TICKS, ProcessStat, pids, read_once, read_stat


def process(pid: int) -> ProcessStat | None:
    """Return one process, or None when there is none or it has ended."""
    found = read_stat(pid)
    return None if found is None or found.ended else found


def processes() -> Iterator[ProcessStat]:
    """Yield every process that runs."""
    for pid in pids():
        if (found := process(pid)) is not None:
            yield found


def has_environment(pid: int, setting: str) -> bool:
    """Say whether a process was started with `NAME=value` in its environment; only root and its owner can see."""
    return setting.encode() in read_once(f"/proc/{pid}/environ").split(b"\0")


def owner(pid: int) -> int | None:
    """Return the user a process runs as."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def ancestors(pid: int) -> frozenset[int]:
    """Return a process and its parents, up to the first one."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        row = process(pid)
        pid = row.parent if row is not None else 0
    return frozenset(found)


@cache
def boot() -> str:
    """Return what changes with every boot; no process sees it change."""
    return read_once("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def this_moment() -> Moment:
    """Return now, on the clock that start times are counted by."""
    return Moment(boot(), int(since_boot_s() * CLOCK_TICKS))
