"""Has every step of the pipeline recorded, in order, without ever making the pipeline wait for the disk.

A step that could not be kept is tried again before any later one; what the actuator may be told is told only once its
step is on disk. One thread owns it; the answers come back to that thread through `told`.
"""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from homeostat_agent.decider.effects import ConfirmOutcome, Effects
from homeostat_agent.decider.inbox import NotStored, Stored
from homeostat_agent.decider.recording import Recorded, recording
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.recorder import Recorder, Stores

# Steps that wait because one before them could not be kept; while any waits nothing new is begun, so these are few.
BACKLOG_MAX = 1000
# Steps the recorder has and has not answered; more would make it hold its callers back.
UNDER_WAY_MAX = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    work: Callable[[Stores], Recorded]
    confirm: tuple[ConfirmOutcome, ...]


class Keeping:
    """What is being kept, and what waits to be kept."""

    def __init__(self, recorder: Recorder, told: Callable[[Stored | NotStored], None]) -> None:
        self._recorder = recorder
        self._told = told
        self._number = 0
        self._under_way: dict[int, _Step] = {}
        self._backlog: deque[_Step] = deque()

    @property
    def waiting(self) -> int:
        """How many steps could not be kept so far."""
        return len(self._backlog)

    def keep(self, effects: Effects) -> None:
        """Have one step's records kept, and its outcomes confirmed after that."""
        confirm = tuple(one for one in effects if isinstance(one, ConfirmOutcome))
        work = recording(effects)
        if work is None and not confirm:
            return
        self._number += 1
        step = _Step(self._number, work or _nothing, confirm)
        if self._backlog or len(self._under_way) >= UNDER_WAY_MAX:
            self._put_back(step)
        else:
            self._submit(step)

    def done(self, number: int) -> None:
        """Forget a step that is kept."""
        self._under_way.pop(number, None)

    def failed(self, number: int) -> None:
        """Put a step that was not kept back into the line."""
        step = self._under_way.pop(number, None)
        if step is not None:
            self._put_back(step)

    def retry(self) -> None:
        """Try again what could not be kept, in order."""
        while self._backlog and len(self._under_way) < UNDER_WAY_MAX:
            self._submit(self._backlog.popleft())

    def _submit(self, step: _Step) -> None:
        self._under_way[step.number] = step
        try:
            future = self._recorder.submit(step.work)
        except StoreError as error:
            self._told(NotStored(step.number, str(error)))
            return
        future.add_done_callback(lambda done: self._answer(step, done))

    def _answer(self, step: _Step, done: "Future[Recorded]") -> None:
        """Called on the recorder's thread."""
        error = done.exception()
        if error is not None:
            self._told(NotStored(step.number, str(error)))
        else:
            recorded = done.result()
            self._told(Stored(step.number, recorded.spool, recorded.lost, step.confirm))

    def _put_back(self, step: _Step) -> None:
        place = next((at for at, one in enumerate(self._backlog) if one.number > step.number), len(self._backlog))
        self._backlog.insert(place, step)
        if len(self._backlog) > BACKLOG_MAX:
            lost = self._backlog.popleft()
            log.error("event=step-given-up step=%d", lost.number)


def _nothing(stores: Stores) -> Recorded:
    return Recorded(stores.spool.state())
