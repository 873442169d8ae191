"""Token buckets: what one peer spends is its own, and nothing grows without bound."""

import pytest

from homeostat_controller.agents import limits
from homeostat_controller.agents.limits import Bucket, Gate
from homeostat_controller.config import MethodLimit
from homeostat_controller.errors import Busy
from homeostat_controller.metrics import Metrics

LIMIT = MethodLimit(interval_s=2.0, burst=3, in_flight=2)


class Ticks:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def gate(ticks: Ticks) -> Gate:
    return Gate("Try", LIMIT, ticks, Metrics())


def test_a_burst_then_one_each_interval(gate: Gate, ticks: Ticks) -> None:
    for _ in range(3):
        gate.spend("a")
    with pytest.raises(Busy) as busy:
        gate.spend("a")
    assert busy.value.retry_after_s == pytest.approx(2.0)
    ticks.now += 2.0
    gate.spend("a")
    with pytest.raises(Busy):
        gate.spend("a")


def test_one_peer_s_spending_is_not_another_s(gate: Gate) -> None:
    for _ in range(3):
        gate.spend("a")
    with pytest.raises(Busy):
        gate.spend("a")
    gate.spend("b")


def test_a_bucket_never_holds_more_than_its_burst_nor_less_when_time_stands_still(ticks: Ticks) -> None:
    bucket = Bucket(LIMIT, ticks())
    assert [bucket.take(ticks() + 1e9) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(ticks() + 1e9) > 0
    assert bucket.take(ticks()) > 0  # a clock that went back gives nothing


def test_in_flight_is_counted_for_all_peers_and_given_back(gate: Gate) -> None:
    with gate.enter("a"), gate.enter("b"), pytest.raises(Busy, match="at once"), gate.enter("c"):
        pass
    with pytest.raises(ZeroDivisionError), gate.enter("a"):
        raise ZeroDivisionError
    with gate.enter("b"), gate.enter("c"):
        pass


def test_peers_are_forgotten_at_the_bound_the_quietest_first(ticks: Ticks) -> None:
    gate = Gate("Try", LIMIT, ticks, Metrics())
    for _ in range(3):
        gate.spend("first")
    for number in range(limits.PEERS_MAX):
        gate.spend(f"peer-{number}")
    assert len(gate._buckets) == limits.PEERS_MAX
    gate.spend("first")  # forgotten, so its bucket is full again


def test_limits_are_metrics() -> None:
    metrics = Metrics()
    Gate("Try", LIMIT, Ticks(), metrics)
    assert metrics.registry.get_sample_value("homeostat_method_limit", {"method": "Try", "kind": "burst"}) == 3
