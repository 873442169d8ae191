"""Which process leads a declared process group: what its pid file says, held against the process table.

Invariant: a number alone is never believed. The file's second line is the leader's start time; a file without one, as
other programs write it, is believed for a process that is older than the file.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homeostat_agent.boot_clock import wall_ahead_ns
from homeostat_agent.procfs import CLOCK_TICKS, PROC, ProcessStat, read_stat

FILE_BYTES_MAX = 128
# A file's time and a process's start are kept by different clocks.
SLACK_S = 2.0


@dataclass(frozen=True, slots=True)
class Written:
    """What a pid file says; `started` is None where it holds a number only."""

    pid: int
    started: int | None
    modified_ns: int


class PidFiles:
    """Reads pid files, and remembers which process each was found to mean.

    The memory is why a step of the wall clock does not make a service look dead: ages are compared once per file.
    """

    def __init__(self, proc: Path = PROC, wall_ahead_ns: Callable[[], int] = wall_ahead_ns) -> None:
        self._proc = proc
        self._wall_ahead_ns = wall_ahead_ns
        self._meant: dict[str, tuple[Written, int]] = {}

    def leader(self, path: str) -> ProcessStat | None:
        """Return the process that a pid file means, or None where it has ended or none is named.

        Raises OSError where the file is there but cannot be read.
        """
        written = read_pid_file(path)
        stat = read_stat(written.pid, self._proc) if written else None
        if written is None or stat is None or stat.ended:
            return None
        return stat if stat.started == self._started(path, written, stat) else None

    def _started(self, path: str, written: Written, stat: ProcessStat) -> int | None:
        if written.started is not None:
            return written.started
        known, started = self._meant.get(path, (None, 0))
        if known == written:
            return started
        born_s = stat.started / CLOCK_TICKS + self._wall_ahead_ns() / 1e9
        if born_s > written.modified_ns / 1e9 + SLACK_S:
            return None
        self._meant[path] = (written, stat.started)
        return stat.started


def read_pid_file(path: str) -> Written | None:
    """Return what a pid file says, or None where it is missing or says nothing; OSError where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    try:
        words = os.read(fd, FILE_BYTES_MAX).split()
        modified_ns = os.fstat(fd).st_mtime_ns
    finally:
        os.close(fd)
    if not words or not all(word.isdigit() for word in words[:2]):
        return None
    return Written(int(words[0]), int(words[1]) if len(words) > 1 else None, modified_ns)
