"""What the watchers tell between two samples, and the bounded queue they tell it through.

Invariant: telling never blocks a watcher. What finds the queue full is counted and dropped; the next sample shows the
same facts, only later.
"""

import queue
import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

EVENTS_MAX = 1024


@dataclass(frozen=True, slots=True)
class ProcessExited:
    """The main process `pid` of a declared service has ended, or was gone before it could be watched."""

    service: str
    pid: int
    at: datetime


@dataclass(frozen=True, slots=True)
class UnitChanged:
    """A declared unit is in a new state, as systemd names states; `main_pid` is 0 where there is no main process."""

    service: str
    unit: str
    active: str
    sub: str
    main_pid: int
    result: str
    at: datetime


class FileRole(StrEnum):
    """Why a file is watched."""

    WATCHED = "watched"
    CONFIG = "config"
    POLICY = "policy"
    MODEL = "model"


class FileChange(StrEnum):
    """What was found about a watched file; INVALID and VALID are what its check said."""

    CHANGED = "changed"
    MISSING = "missing"
    BACK = "back"
    INVALID = "invalid"
    VALID = "valid"


@dataclass(frozen=True, slots=True)
class FileChanged:
    """Something about a watched file; `name` is its declared name, or the file's own in a watched folder."""

    role: FileRole
    name: str
    path: str
    change: FileChange
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WatchInterrupted:
    """A watcher cannot see for now: sampling alone finds faults until it is back."""

    watcher: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WatchResumed:
    """The watcher sees again."""

    watcher: str
    at: datetime


WatchEvent = ProcessExited | UnitChanged | FileChanged | WatchInterrupted | WatchResumed


class Sink(Protocol):
    """Where a watcher puts its events, from its own thread."""

    def put(self, event: WatchEvent) -> None:
        """Take an event without ever blocking or raising."""


class EventQueue:
    """The sink between the watchers' threads and the one that reads; at most `events_max` events wait in it."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._queue: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._events_max = events_max
        self._dropped = 0

    def put(self, event: WatchEvent) -> None:
        """Add an event, or count it as dropped when the queue is full."""
        with self._lock:
            if self._queue.qsize() < self._events_max:
                self._queue.put(event)
            else:
                self._dropped += 1

    def get(self, timeout_s: float) -> WatchEvent | None:
        """Wait up to `timeout_s` seconds for the next event; None if there is none."""
        try:
            return self._queue.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None

    def drain(self) -> tuple[WatchEvent, ...]:
        """Take what waits now, without waiting for more."""
        taken = []
        for _ in range(self._queue.qsize()):
            event = self.get(0)
            if event is not None:
                taken.append(event)
        return tuple(taken)

    @property
    def dropped(self) -> int:
        """How many events found the queue full, since the start."""
        return self._dropped
