"""The pid file of a process group: its leader's pid on the first line, and when it started on the second.

A pid alone may have come to name something else. A file without a start time, as other programs write it, is believed
only for a process that is older than the file.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from homeostat_agent.actuator.host import process_table
from homeostat_agent.procfs import CLOCK_TICKS, ProcessStat

_BYTES_MAX = 128
# A file's time and a process's start are kept by different clocks.
_SLACK_S = 2.0


@dataclass(frozen=True, slots=True)
class Leader:
    """What a pid file says; `started` is None where it holds only a pid, `written` is its modification time."""

    pid: int
    started: int | None
    written: float


def read(path: str) -> Leader | None:
    """Return what the file says, or None when there is no file or nothing to be read in it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        words = os.read(descriptor, _BYTES_MAX).split()
        written = os.fstat(descriptor).st_mtime
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if not words or not all(word.isdigit() for word in words[:2]):
        return None
    return Leader(int(words[0]), int(words[1]) if len(words) > 1 else None, written)


def running(leader: Leader) -> ProcessStat | None:
    """Return the process that the file means, or None when it has ended."""
    found = process_table.process(leader.pid) if leader.pid > 1 else None
    if found is None:
        return None
    if leader.started is not None:
        return found if found.started == leader.started else None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - found.started / CLOCK_TICKS
    born = time.clock_gettime(time.CLOCK_REALTIME) - age
    return found if born <= leader.written + _SLACK_S else None


def write(path: str, pid: int, started: int) -> None:
    """Write the file whole or not at all. Raises OSError."""
    scratch = Path(f"{path}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, f"{pid}\n{started}\n".encode())
    finally:
        os.close(descriptor)
    scratch.replace(path)
