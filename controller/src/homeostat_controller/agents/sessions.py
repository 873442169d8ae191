"""Who is connected, and what all of them have to be told.

The sessions belong to the event loop; what other threads want of them they post, and it happens there in that order.
Invariant: an endpoint has at most one session; a newer one takes the place of the older.
"""

import asyncio
import random
import threading
from collections.abc import Callable

from homeostat_controller.agents.offers import Board
from homeostat_controller.agents.session import Session
from homeostat_controller.config import Settings
from homeostat_controller.errors import Busy
from homeostat_controller.metrics import Metrics
from homeostat_controller.store.approvals import Pending

# A broadcast yields to the sessions' own tasks after so many.
BROADCAST_SLICE = 200
SWEEP_S = 1.0
# An agent is silent when it missed this many heartbeats.
SILENT_HEARTBEATS = 4
FULL_RETRY_S = 30.0


class Sessions:
    """All open sessions. Only `count` and the methods that say so may be used outside the event loop."""

    def __init__(self, settings: Settings, ticks: Callable[[], float], draw: random.Random, metrics: Metrics) -> None:
        self.board = Board()
        self._settings = settings
        self._ticks = ticks
        self._draw = draw
        self._metrics = metrics
        self._open: dict[str, Session] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bound = threading.Lock()
        self._closing = False
        self._broadcasts: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many sessions are open. From any thread."""
        return len(self._open)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop the sessions live on; before that nothing that is posted can concern one."""
        with self._bound:
            self._loop = loop

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on the loop, soon. From any thread; without a loop there are no sessions and nothing is done."""
        with self._bound:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(call)

    def take_board(self, board: Board) -> None:
        """Assign by this board from now on. From any thread."""
        self.board = board
        self.post(self._broadcast)

    def tell(self, endpoint_id: str, answers: Pending) -> None:
        """Tell an endpoint answers, if it is connected; otherwise its next session is told. From any thread."""

        def tell() -> None:
            if (session := self._open.get(endpoint_id)) is not None:
                session.tell(answers)

        self.post(tell)

    def cut(self, endpoint_id: str, cause: str) -> None:
        """End an endpoint's session, if it has one. From any thread."""

        def cut() -> None:
            if (session := self._open.get(endpoint_id)) is not None:
                session.close(cause)

        self.post(cut)

    def admit(self) -> None:
        """Raise Busy when one more session would be too many."""
        if self._closing:
            raise Busy("the controller is stopping", self._draw.uniform(0.0, self._settings.return_s))
        if len(self._open) >= self._settings.limits.sessions_max:
            raise Busy("the controller has as many sessions as it may", self._draw.uniform(1.0, FULL_RETRY_S))

    def age_max_s(self) -> float:
        """Draw for how long the next session may last."""
        return self._draw.uniform(*self._settings.stream_age_s)

    def add(self, session: Session) -> None:
        """Take in a session; the endpoint's older one ends."""
        if (older := self._open.get(session.endpoint_id)) is not None:
            older.close("replaced")
        self._open[session.endpoint_id] = session
        self._metrics.sessions_opened.inc()
        self._metrics.sessions.set(len(self._open))

    def remove(self, session: Session) -> bool:
        """Forget a session that ended; say whether its endpoint has none now."""
        self._metrics.sessions_ended.labels(session.ended or "peer").inc()
        if self._open.get(session.endpoint_id) is not session:
            return False
        del self._open[session.endpoint_id]
        self._metrics.sessions.set(len(self._open))
        return True

    def find(self, endpoint_id: str) -> Session | None:
        """Return an endpoint's open session."""
        return self._open.get(endpoint_id)

    def sweep(self) -> list[Session]:
        """End what is too old or silent; return the polled sessions that nobody polls any more, which have no task."""
        now = self._ticks()
        silent_s = SILENT_HEARTBEATS * self._settings.heartbeat_s
        for session in self._open.values():
            if now - session.opened_at > session.age_max_s:
                session.close("age")
            elif now - session.last_heard > silent_s:
                session.close("silent")
        return [one for one in self._open.values() if one.polled and one.ended]

    def drain(self) -> None:
        """Ask every agent to come back a little later, and let nobody in any more."""
        self._closing = True
        for session in self._open.values():
            session.close("stopping", self._draw.uniform(0.0, self._settings.return_s))

    def _broadcast(self) -> None:
        task = asyncio.get_running_loop().create_task(self._offer_all(self.board))
        self._broadcasts.add(task)
        task.add_done_callback(self._broadcasts.discard)

    async def _offer_all(self, board: Board) -> None:
        now = self._ticks()
        for number, session in enumerate(list(self._open.values()), start=1):
            if board is not self.board:
                return  # a newer board is on its way to everybody
            session.consider(board, now)
            if number % BROADCAST_SLICE == 0:
                await asyncio.sleep(0)
