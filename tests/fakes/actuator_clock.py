"""A clock that only tests move: waiting takes no time, it just becomes later."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from homeostat_agent.actuator.port import Stopping

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class HandClock:
    """`wall` and `monotonic` move together in `pause`; a test may set `wall` alone, as an administrator does."""

    wall: datetime = NOON
    monotonic: float = 1000.0
    stopping: bool = False
    pauses: list[float] = field(default_factory=list)
    while_paused: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self.wall

    def elapsed(self) -> float:
        return self.monotonic

    def pause(self, seconds: float) -> None:
        if self.stopping:
            raise Stopping
        self.pauses.append(seconds)
        self.forward(seconds)
        self.while_paused()

    def forward(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds
