"""What Linux tells of a process in /proc: its one line of numbers, and any small file read at once.

Invariant: reading never raises for what the kernel may take away at any moment; such a file reads as empty. A process
is a pid with its start time, never a pid alone.
"""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
# Longer command lines and environments are cut: what is looked for stands at their beginning.
CHUNK_BYTES = 65_536

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class ProcessStat(NamedTuple):  # a tuple, since a full scan makes one per process of the machine
    """One line of /proc/PID/stat; `group` and `session` as the kernel numbers them.

    `ticks` is the process's own user and system time, `ended_children_ticks` that of children it has waited for, both
    in 1/CLOCK_TICKS seconds; `started` is its start in ticks since boot.
    """

    pid: int
    comm: bytes
    state: str
    parent: int
    group: int
    session: int
    ticks: int
    ended_children_ticks: int
    started: int
    resident_bytes: int

    @property
    def ended(self) -> bool:
        """Whether it only waits for its parent to take note of its end: nothing of it runs any more."""
        return self.state in "ZXx"

    @property
    def stopped(self) -> bool:
        """Whether it is stopped by a signal; one that is traced is not: a person is looking at it."""
        return self.state == "T"


def read_stat(pid: int, proc: Path = PROC) -> ProcessStat | None:
    """Return what a process is at this moment, or None if there is none of that number."""
    return parse_stat(read_once(f"{proc}/{pid}/stat"))


def parse_stat(raw: bytes) -> ProcessStat | None:
    """Return what a stat line says, or None if it is no such line (the process is gone)."""
    # The name may hold spaces and brackets; what follows its last bracket does not.
    head, _, tail = raw.rpartition(b")")
    number, _, comm = head.partition(b" (")
    f = tail.split(None, 22)
    if len(f) < 22 or not number.isdigit():
        return None
    return ProcessStat(
        int(number),
        comm,
        f[0].decode("ascii", "replace"),
        int(f[1]),
        int(f[2]),
        int(f[3]),
        int(f[11]) + int(f[12]),
        int(f[13]) + int(f[14]),
        int(f[19]),
        int(f[21]) * PAGE_BYTES,
    )


def pids(proc: Path = PROC) -> list[int]:
    """Return the numbers of all processes that can be seen."""
    try:
        return [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208  # iterdir costs 5 times this
    except OSError:
        return []


def read_once(path: str) -> bytes:
    """Open, read up to CHUNK_BYTES, close; b"" where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(fd, CHUNK_BYTES)
    except OSError:
        return b""
    finally:
        os.close(fd)
