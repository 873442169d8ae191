"""A descriptor that names one process, be its number given to another one the next moment.

Invariant: the start time is checked after the descriptor is open; checked before, the process could end in between.
"""

import errno
import os
import select

from homeostat_agent.procfs import read_stat


def open_process(pid: int, started: int | None) -> int | None:
    """Return a pidfd of the process that `started` at that tick since boot, or None if that one has ended.

    It becomes readable when the process ends. Without a start time whatever has the number now is meant. Raises OSError
    where no descriptor can be had, or the process cannot be looked at. The caller closes it.
    """
    if pid <= 0:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        meant = started is None or _started(descriptor, pid) == started
    except OSError:
        os.close(descriptor)
        raise
    if not meant:
        os.close(descriptor)
    return descriptor if meant else None


def _started(descriptor: int, pid: int) -> int | None:
    """Return when a process started, or None if it has ended. Raises OSError where it lives and cannot be looked at."""
    stat = read_stat(pid)
    if stat is not None:
        return None if stat.ended else stat.started
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if not poller.poll(0):
        raise OSError(errno.ENODATA, f"process {pid} cannot be looked at")
    return None
