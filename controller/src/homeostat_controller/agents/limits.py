"""How often and how much at once a peer may ask: a token bucket per peer and a cap on calls in flight, per method.

Invariant: what one peer spends is taken from that peer only; memory is bounded by PEERS_MAX buckets a method.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from homeostat_controller.config import MethodLimit
from homeostat_controller.errors import Busy
from homeostat_controller.metrics import Metrics

# Above the endpoints of one controller; the peer that was quiet longest is forgotten, which only refills its bucket.
PEERS_MAX = 20_000
IN_FLIGHT_RETRY_S = 1.0


class Bucket:
    """A token bucket: `burst` at once, then one each `interval_s`."""

    __slots__ = ("_at", "_limit", "_tokens")

    def __init__(self, limit: MethodLimit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Take a token; return 0, or for how many seconds there is none."""
        self._tokens = min(self._limit.burst, self._tokens + max(0.0, now - self._at) / self._limit.interval_s)
        self._at = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) * self._limit.interval_s
        self._tokens -= 1.0
        return 0.0


class Gate:
    """One method's limits. Owned by one thread or loop; `ticks` counts seconds and never goes back."""

    def __init__(self, method: str, limit: MethodLimit, ticks: Callable[[], float], metrics: Metrics) -> None:
        self._method = method
        self._limit = limit
        self._ticks = ticks
        self._metrics = metrics
        self._in_flight = 0
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        for kind in ("interval_s", "burst", "in_flight"):
            metrics.method_limit.labels(method, kind).set(getattr(limit, kind))

    @contextmanager
    def enter(self, peer: str) -> Iterator[None]:
        """Count a call of `peer` for as long as it runs.

        Raises Busy when the peer's bucket is empty or too many calls are in flight.
        """
        self.spend(peer)
        if self._in_flight >= self._limit.in_flight:
            self._metrics.calls_refused.labels(self._method, "in-flight").inc()
            raise Busy(f"too many {self._method} calls at once", IN_FLIGHT_RETRY_S)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def spend(self, peer: str) -> None:
        """Take a token of `peer` without counting a call in flight.

        Raises Busy when there is none.
        """
        wait = self._bucket(peer).take(self._ticks())
        if wait > 0:
            self._metrics.calls_refused.labels(self._method, "rate").inc()
            raise Busy(f"too many {self._method} calls; the limit is one each {self._limit.interval_s:g} s", wait)

    def _bucket(self, peer: str) -> Bucket:
        bucket = self._buckets.get(peer)
        if bucket is None:
            bucket = self._buckets[peer] = Bucket(self._limit, self._ticks())
            if len(self._buckets) > PEERS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(peer)
        return bucket
