"""How fast and how often the link does things, and by which clock and chance.

Every wait has a bound here, and all that wait after a failure do so for a random time: a thousand agents that lost
their controller together must not come back together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

# A controller can hold an agent off, but not for longer than this.
RETRY_AFTER_S_MAX = 3600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds; where there are two, one between them is drawn."""

    first_try_s_max: float = 5.0
    backoff_s_least: float = 1.0
    backoff_s_most: float = 300.0
    heartbeat_s: float = 30.0
    heartbeat_spread: float = 0.2
    stream_s_least: float = 600.0
    stream_s_most: float = 1200.0
    # Two state messages are at least so far apart, whatever changes.
    message_s_least: float = 0.5
    push_timeout_s: float = 30.0
    check_in_timeout_s: float = 70.0
    # Streams that failed in a row before the session is held over single calls instead.
    stream_failures_max: int = 3
    # How often to look whether the endpoint has been enrolled.
    enrolled_s: float = 2.0
    # How often to look for records that nobody announced.
    outbox_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only the edge of the program may touch: the time (aware), chance, and the pace that was set."""

    now: Callable[[], datetime]
    draw: Random
    pace: Pace = Pace()


class Backoff:
    """Full jitter: after n failures a wait between 0 and twice as much as before, up to a bound."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._draw = surroundings.draw
        self._pace = surroundings.pace
        self._failures = 0

    def succeeded(self) -> None:
        """Begin anew: the last try went well."""
        self._failures = 0

    def wait_s(self, retry_after_s: float = 0.0) -> float:
        """Return how long to wait after one more failure, or after what the peer asked for and up to half more."""
        self._failures += 1
        if retry_after_s > 0:
            return min(retry_after_s, RETRY_AFTER_S_MAX) * self._draw.uniform(1.0, 1.5)
        # The exponent is bounded too: failures may go on for weeks.
        ceiling = self._pace.backoff_s_least * 2 ** min(self._failures, 30)
        return self._draw.uniform(0.0, min(ceiling, self._pace.backoff_s_most))
