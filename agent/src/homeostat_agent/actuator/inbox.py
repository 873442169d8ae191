"""What reaches the worker: the decider's messages and the process's own events, in one line, with room for so many.

The socket's reader waits when the line is full, so a decider that floods is slowed down and nothing else. Signals may
come at any instruction: what they put in needs no lock and no room.
"""

import queue
import threading
from dataclasses import dataclass

from homeostat.wire.v1 import actuation_pb2

MESSAGES_MAX = 16


@dataclass(frozen=True, slots=True)
class Connected:
    """A decider has connected: it is to hear of every outcome it may not have."""


@dataclass(frozen=True, slots=True)
class Tidy:
    """A child may have ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The actuator is to end."""


Item = actuation_pb2.DeciderMessage | Connected | Tidy | Stop


class Inbox:
    """The line. One thread puts messages, any code puts events, one thread takes."""

    def __init__(self) -> None:
        self._line: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._room = threading.Semaphore(MESSAGES_MAX)

    def put_message(self, message: actuation_pb2.DeciderMessage) -> None:
        """Add a message; wait while MESSAGES_MAX are in the line."""
        self._room.acquire()
        self._line.put(message)

    def put_event(self, event: Connected | Tidy | Stop) -> None:
        """Add an event at once, also from a signal."""
        self._line.put(event)

    def take(self, within_s: float | None) -> Item | None:
        """Return the next item, or None when there is none within so many seconds (None: wait for it)."""
        try:
            item = self._line.get(timeout=within_s)
        except queue.Empty:
            return None
        if isinstance(item, actuation_pb2.DeciderMessage):
            self._room.release()
        return item
