"""Pid files: the leader's pid on the first line of a declared process group's file, and when it started on the second.

Invariant: a number alone is never believed. A file without a start time, as other programs write it, means the process
it was found to mean before, as long as that one runs and the file names it. Otherwise it is believed for a process that
is older than the file, but never for another one than before while the file has not changed.
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

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Written:
    """What a pid file says; `started` is None where it holds a number only."""

    pid: int
    started: int | None
    modified_ns: int


class PidFiles:
    """Reads pid files, and remembers which process each was found to mean.

    The memory is why a step of the wall clock neither makes a service look dead nor gives an old file a new process:
    ages are compared once per process.
    """

    def __init__(self, proc: Path = PROC, wall_ahead_ns: Callable[[], int] = wall_ahead_ns) -> None:
        self._proc = proc
        self._wall_ahead_ns = wall_ahead_ns
        self._meant: dict[str, tuple[Written, int]] = {}

    def leader(self, path: str) -> ProcessStat | None:
        """Return the process that a pid file means, or None where it has ended or none is named.

        Raises OSError where the file is there but cannot be read: then nothing is known.
        """
        written = read_pid_file(path)
        # The system's first process is nobody's service.
        stat = read_stat(written.pid, self._proc) if written and written.pid > 1 else None
        if written is None or stat is None or stat.ended or not self._means(path, written, stat):
            return None
        self._meant[path] = (written, stat.started)
        return stat

    def _means(self, path: str, written: Written, stat: ProcessStat) -> bool:
        if written.started is not None:
            return stat.started == written.started
        known, started = self._meant.get(path, (None, 0))
        if known is not None and known.pid == written.pid and started == stat.started:
            return True
        return known != written and self._is_older(stat, written)

    def _is_older(self, stat: ProcessStat, written: Written) -> bool:
        born_s = stat.started / CLOCK_TICKS + self._wall_ahead_ns() / 1e9
        return born_s <= written.modified_ns / 1e9 + SLACK_S


def read_pid_file(path: str) -> Written | None:
    """Return what a pid file says, or None where it is missing or says nothing; OSError where it cannot be read.

    A link in its place is not followed: that is an error too.
    """
    try:
        fd = os.open(path, _READ)
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


def write_pid_file(path: str, pid: int, started: int) -> None:
    """Write a pid file whole or not at all. Raises OSError."""
    scratch = Path(f"{path}.new")
    scratch.unlink(missing_ok=True)
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        os.write(fd, f"{pid}\n{started}\n".encode())
    finally:
        os.close(fd)
    scratch.replace(path)
