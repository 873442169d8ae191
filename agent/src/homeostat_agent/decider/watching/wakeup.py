"""A descriptor that another thread can make readable, to wake a thread that waits on descriptors.

Invariant: waking never blocks, however often it is done.
"""

import os
import socket
from contextlib import suppress


class WakeUp:
    """One end to wait on (`fileno`), one to wake by."""

    def __init__(self) -> None:
        self._heard, self._said = socket.socketpair()
        self._heard.setblocking(False)
        self._said.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._heard.fileno()

    def wake(self) -> None:
        """Make it readable. A full buffer or a closed end means that it is, or that nobody waits any more."""
        with suppress(OSError):
            self._said.send(b"\0")

    def clear(self) -> None:
        """Take note of having been woken."""
        with suppress(BlockingIOError):
            while os.read(self._heard.fileno(), 4096):
                pass

    def close(self) -> None:
        """Give both descriptors back."""
        self._heard.close()
        self._said.close()
