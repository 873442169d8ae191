"""Everything that happens between two samples, in one line for the one thread that decides.

Watchers never wait: what finds no room is counted and dropped, for the next sample shows it again. The threads that
speak with the actuator and the controller do wait for room, which is how they are slowed down.
"""

import queue
import threading
from dataclasses import dataclass

from homeostat.exception_pack import Grant
from homeostat.policy import Policy
from homeostat.wire.v1 import actuation_pb2
from homeostat_agent.decider.effects import ConfirmOutcome
from homeostat_agent.decider.store.spool import SpoolState
from homeostat_agent.decider.watching.events import WatchEvent

WATCH_EVENTS_MAX = 1024
TOLD_MAX = 256


@dataclass(frozen=True, slots=True)
class ActuatorGone:
    """There is no connection to the actuator, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """A policy was accepted; `signed` is the serialized Signed that the actuator is to verify for itself."""

    policy: Policy
    signed: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """A person approved a pack."""

    grant: Grant
    signed: bytes


@dataclass(frozen=True, slots=True)
class Denied:
    """A person denied a pack."""

    pack_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A step's records are on disk, with the spool as it is then; what may be confirmed now."""

    number: int
    spool: SpoolState
    lost: int
    confirm: tuple[ConfirmOutcome, ...]


@dataclass(frozen=True, slots=True)
class NotStored:
    """A step's records could not be kept; `number` says which step."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The decider is to end."""


Told = actuation_pb2.ActuatorMessage | ActuatorGone | NewPolicy | Granted | Denied | Stored | NotStored | Stop
Item = WatchEvent | Told


class Inbox:
    """The line. `put` is the watchers' Sink; `tell` is for the others; one thread takes."""

    def __init__(self) -> None:
        self._line: queue.SimpleQueue[tuple[threading.Semaphore | None, Item]] = queue.SimpleQueue()
        self._watch_room = threading.Semaphore(WATCH_EVENTS_MAX)
        self._room = threading.Semaphore(TOLD_MAX)
        self.dropped = 0

    def put(self, event: WatchEvent) -> None:
        """Add a watcher's event, or count it as dropped."""
        if self._watch_room.acquire(blocking=False):
            self._line.put((self._watch_room, event))
        else:
            self.dropped += 1

    def tell(self, item: Told) -> None:
        """Add what another thread has to say; wait while TOLD_MAX are in the line."""
        self._room.acquire()
        self._line.put((self._room, item))

    def tell_now(self, item: Told) -> None:
        """Add at once, also from a signal and from the thread that takes."""
        self._line.put((None, item))

    def take(self, within_s: float) -> Item | None:
        """Return the next item, or None when there is none within so many seconds."""
        try:
            room, item = self._line.get(timeout=max(0.0, within_s))
        except queue.Empty:
            return None
        if room is not None:
            room.release()
        return item
