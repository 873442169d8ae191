"""Whether a service's memory grows steadily towards its limit.

Invariant: only one process's life is compared; a restart begins anew. The track is bounded in points and in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

POINTS_MAX = 60
# Points closer together than this add nothing: the track then spans five minutes.
APART_S = 5.0
# Fewer points or less time than this cannot tell growth from starting up.
POINTS_LEAST = 12
SPAN_S_LEAST = 55.0
# Growth that would reach the limit later than this is no reason to act now.
HORIZON_S = 3600.0
# Growth below this share of the limit over the track is noise.
RISE_SHARE_LEAST = 0.02
# A service that fills its caches slows down; the second half must have grown by at least this much of the first.
STEADY_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class MemoryTrack:
    """Memory of one process's life: seconds (any origin) and bytes, oldest first."""

    pid: int = 0
    started: int = 0
    points: tuple[tuple[float, int], ...] = ()

    def add(self, pid: int, started: int, at_s: float, used: int) -> "MemoryTrack":
        """Return the track with one more point; a new one for another process or when time went back."""
        if (pid, started) != (self.pid, self.started) or (self.points and at_s < self.points[-1][0]):
            return MemoryTrack(pid, started, ((at_s, used),))
        if self.points and at_s - self.points[-1][0] < APART_S:
            return self
        return MemoryTrack(pid, started, (*self.points, (at_s, used))[-POINTS_MAX:])

    def growth(self, limit: float) -> float | None:
        """Return bytes per second if the memory grows steadily and would reach `limit` bytes within HORIZON_S.

        The slope is that of a resistant line through the medians of the track's three thirds, which single jumps and
        drops do not move.
        """
        if len(self.points) < POINTS_LEAST or self.points[-1][0] - self.points[0][0] < SPAN_S_LEAST:
            return None
        third = len(self.points) // 3
        parts = self.points[:third], self.points[third:-third], self.points[-third:]
        (t1, first), (_, middle), (t3, last) = (_middle(part) for part in parts)
        early, late = middle - first, last - middle
        if early <= 0 or late < STEADY_SHARE * early or last - first < RISE_SHARE_LEAST * limit:
            return None
        slope = (last - first) / (t3 - t1)
        return slope if self.points[-1][1] + slope * HORIZON_S >= limit else None


def _middle(points: tuple[tuple[float, int], ...]) -> tuple[float, float]:
    return _median([at for at, _ in points]), _median([used for _, used in points])


def _median(values: Sequence[float]) -> float:
    """Return the middle value; the module `statistics` would be 0.5 MB for just this."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
