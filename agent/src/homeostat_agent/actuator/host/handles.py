"""Signals to exactly one process or its group, through a pidfd that was checked after it was opened.

Between reading a pid and signalling it, the process may end and its number may come to name another. A pidfd names the
process it was opened for; opened first and checked against the start time then, it cannot be the wrong one.
"""

import errno
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from homeostat_agent.process_handles import open_process

# Time to end after SIGKILL.
KILLED_S = 5.0
# pidfd_send_signal's flag of Linux 6.9 for the process group that the process leads.
_TO_GROUP = 4


@contextmanager
def handle(pid: int, started: int) -> Iterator[int | None]:
    """Give a pidfd that is surely of the process that `started` then, or None when that one has ended."""
    descriptor = open_process(pid, started)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def send(descriptor: int, number: signal.Signals) -> None:
    """Signal the process; one that has ended gets nothing. Raises PermissionError."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


def send_to_group(descriptor: int, number: signal.Signals) -> bool:
    """Signal the process's whole group, even when its leader has ended; return False where the kernel cannot."""
    try:
        signal.pidfd_send_signal(descriptor, number, None, _TO_GROUP)
    except ProcessLookupError:
        return True
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def escalate(
    tell: Callable[[signal.Signals], None], ended: Callable[[float], bool], grace_s: float, deadline: float
) -> signal.Signals | None:
    """Have something end: SIGTERM, and after `grace_s` or at `deadline` SIGKILL; return which one it took.

    `ended` waits until a time on the monotonic clock and says whether it has ended; None: it has not, even KILLED_S
    after SIGKILL. Raises PermissionError.
    """
    tell(signal.SIGTERM)
    tell(signal.SIGCONT)  # what is stopped ends only once it goes on
    if ended(min(deadline, time.monotonic() + grace_s)):
        return signal.SIGTERM
    tell(signal.SIGKILL)
    return signal.SIGKILL if ended(time.monotonic() + KILLED_S) else None


def ends(descriptor: int, deadline: float) -> bool:
    """Wait until the process has ended, and say whether that came before `deadline` on the monotonic clock."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(max(0.0, deadline - time.monotonic()) * 1000))
