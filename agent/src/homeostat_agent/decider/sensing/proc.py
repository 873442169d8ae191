"""Cheap reading of /proc: files that stay open, and the one line that describes a process.

Invariant: reading never raises for what the kernel may take away at any moment; such a file reads as empty.
"""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
CHUNK_BYTES = 65_536
# The kernel hands a long table out in pieces that end at a whole line near 4096 bytes. A shorter piece was all.
LONG_BYTES = 2048
# Far above anything under /proc that is read here; a file that never ends must not fill the memory.
FILE_BYTES_MAX = 4 << 20

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class KeptFile:
    """One file, opened once and read whole at each call.

    With `reopen` a file that failed is opened once more, since its path may mean something new (a control group made
    again). Without it the path is never opened a second time, so a reused process number is never read by mistake.
    """

    __slots__ = ("_fd", "_opened", "_reopen", "path")

    def __init__(self, path: str | Path, *, reopen: bool = True) -> None:
        self.path = str(path)
        self._fd = -1
        self._opened = False
        self._reopen = reopen

    def read(self) -> bytes:
        """Return the whole content, or b"" where it cannot be read."""
        if self._fd >= 0:
            try:
                return _whole(self._fd)
            except OSError:
                self.close()
        if self._opened and not self._reopen:
            return b""
        return self._first()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _first(self) -> bytes:
        self._opened = True
        try:
            self._fd = os.open(self.path, os.O_RDONLY)
            return _whole(self._fd)
        except OSError:
            self.close()
            return b""


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


class ProcessStat(NamedTuple):  # a tuple, since a full scan makes one per process of the machine
    """One line of /proc/PID/stat.

    `ticks` is the process's own user and system time, `ended_children_ticks` that of children it has waited for, both
    in 1/CLOCK_TICKS seconds; `started` is its start in ticks since boot.
    """

    pid: int
    comm: bytes
    state: str
    group: int
    session: int
    ticks: int
    ended_children_ticks: int
    started: int
    resident_bytes: int

    @property
    def ended(self) -> bool:
        """Whether it only waits for its parent to take note of its end."""
        return self.state in "ZX"


def parse_stat(raw: bytes) -> ProcessStat | None:
    """Return what a stat line says, or None if it is no such line (the process is gone)."""
    head, _, tail = raw.rpartition(b")")
    number, _, comm = head.partition(b" (")
    f = tail.split(None, 22)
    if len(f) < 22 or not number.isdigit():
        return None
    return ProcessStat(
        int(number),
        comm,
        f[0].decode("ascii", "replace"),
        int(f[2]),
        int(f[3]),
        int(f[11]) + int(f[12]),
        int(f[13]) + int(f[14]),
        int(f[19]),
        int(f[21]) * PAGE_BYTES,
    )


def read_stat(pid: int, proc: Path = PROC) -> ProcessStat | None:
    """Return what a process is at this moment, or None if there is none of that number."""
    return parse_stat(read_once(f"{proc}/{pid}/stat"))


def pids(proc: Path = PROC) -> list[int]:
    """Return the numbers of all processes that can be seen."""
    try:
        return [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208  # iterdir costs 5 times this
    except OSError:
        return []


def _whole(fd: int) -> bytes:
    first = os.pread(fd, CHUNK_BYTES, 0)
    if len(first) < LONG_BYTES:
        return first
    parts, length = [first], len(first)
    while length < FILE_BYTES_MAX:
        part = os.pread(fd, CHUNK_BYTES, length)
        if not part:
            break
        parts.append(part)
        length += len(part)
    return b"".join(parts)
