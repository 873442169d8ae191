"""Linux's process table, as far as the actuator needs it. A process is a pid with its start time, never a pid alone.

What vanishes while it is looked at is absent; a zombie is no process: nothing of it runs any more.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from homeostat_agent.actuator.host.port import Moment

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Longer command lines and environments are cut: what is looked for stands at their beginning.
_READ_BYTES_MAX = 64 << 10
_ENDED = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Process:
    """One row: `started` and `cpu_ticks` in clock ticks, `group` and `session` as the kernel numbers them."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    cpu_ticks: int
    started: int

    @property
    def stopped(self) -> bool:
        """Whether it is stopped by a signal; one that is traced is not: a person is looking at it."""
        return self.state == "T"


def process(pid: int) -> Process | None:
    """Return one process, or None when there is none or it has ended."""
    text = _read(f"/proc/{pid}/stat")
    if not text:
        return None
    # The name may hold spaces and brackets; what follows its last bracket does not.
    rest = text.rpartition(b")")[2].split()
    if len(rest) < 20 or (state := rest[0].decode("ascii", "replace")) in _ENDED:
        return None
    cpu_ticks = int(rest[11]) + int(rest[12])
    return Process(pid, state, int(rest[1]), int(rest[2]), int(rest[3]), cpu_ticks, int(rest[19]))


def processes() -> Iterator[Process]:
    """Yield every process that runs."""
    for name in os.listdir("/proc"):  # noqa: PTH208  # a path object for each process would double the time
        if name.isdigit() and (found := process(int(name))) is not None:
            yield found


def executable(pid: int) -> str:
    """Return the path of the file a process runs, as the kernel knows it, or ""."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def command_line(pid: int) -> tuple[str, ...]:
    """Return a process's arguments, which it may have changed itself."""
    return tuple(part.decode(errors="replace") for part in _read(f"/proc/{pid}/cmdline").split(b"\0")[:-1])


def has_environment(pid: int, setting: str) -> bool:
    """Say whether a process was started with `NAME=value` in its environment; only root and its owner can see."""
    return setting.encode() in _read(f"/proc/{pid}/environ").split(b"\0")


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
    return _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def this_moment() -> Moment:
    """Return now, on the clock that start times are counted by."""
    return Moment(boot(), int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS_PER_S))


def _read(path: str) -> bytes:
    """Return a file of /proc, or b"" when it is gone or not ours to see."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts = []
    try:
        left = _READ_BYTES_MAX
        while left > 0 and (part := os.read(descriptor, min(left, 16 << 10))):
            parts.append(part)
            left -= len(part)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return b"".join(parts)
