from dataclasses import replace
from random import Random

from fixtures_link import QUICK, real_now
from hypothesis import given
from hypothesis import strategies as st

from homeostat_agent.decider.link.pace import RETRY_AFTER_S_MAX, Backoff, Pace, Surroundings


def backoff(pace: Pace, seed: int = 0) -> Backoff:
    return Backoff(Surroundings(real_now, Random(seed), pace))  # noqa: S311  # jitter, repeatable


@given(seed=st.integers(0, 2**32), failures=st.integers(1, 2000))
def test_a_wait_lies_between_nothing_and_its_ceiling(seed: int, failures: int) -> None:
    later = backoff(Pace(), seed)
    for n in range(1, failures + 1):
        assert 0 <= later.wait_s() <= min(2.0 ** min(n, 20), 300)


def test_waits_are_spread_over_all_of_it() -> None:
    waits = [backoff(Pace(), seed).wait_s() for seed in range(500)]
    assert min(waits) < 0.1
    assert max(waits) > 1.9


def test_success_begins_anew() -> None:
    tried = backoff(Pace())
    for _ in range(20):
        tried.wait_s()
    tried.succeeded()
    assert tried.wait_s() <= 2.0


@given(st.floats(0.001, 1e9), st.integers(0, 2**32))
def test_what_the_peer_asks_for_is_kept_and_spread_but_bounded(asked_s: float, seed: int) -> None:
    wait_s = backoff(Pace(), seed).wait_s(asked_s)
    kept_s = min(asked_s, RETRY_AFTER_S_MAX)
    assert kept_s <= wait_s <= kept_s * 1.5


def test_a_negative_wish_of_the_peer_is_none() -> None:
    assert backoff(replace(QUICK, backoff_s_least=1.0, backoff_s_most=1.0)).wait_s(-5.0) <= 1.0
