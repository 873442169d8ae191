"""The time since boot, which nobody can set, and how far the wall clock is ahead of it.

Invariant: sleep of the machine counts, as it does in the start times of processes.
"""

import time
from collections.abc import Iterator

# A pair of clock readings further apart than this was interrupted between the two and is taken again.
CLOCK_GAP_NS = 200_000
CLOCK_TRIES = 4


def since_boot_s() -> float:
    """Return the seconds since boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def wall_ahead_ns() -> int:
    """Return how far the wall clock is ahead of the time since boot, read as nearly together as can be."""
    _, ahead = min(_clock_pairs())
    return ahead


def _clock_pairs() -> Iterator[tuple[int, int]]:
    for _ in range(CLOCK_TRIES):
        before, wall, after = _boot_ns(), time.time_ns(), _boot_ns()
        yield after - before, wall - (before + after) // 2
        if after - before <= CLOCK_GAP_NS:
            return


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()
