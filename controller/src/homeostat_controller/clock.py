"""The controller's only door to the wall clock; everything else is handed a Clock.

A clock answers an aware time in UTC. Tests hand in one that they move themselves.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)
