"""Session tokens: they rise, each endpoint's are its own, and a made-up one is known as such."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fakes.moved_clock import MovedClock
from homeostat_controller.agents.session_tokens import SessionTokens


def test_numbers_rise_even_while_the_clock_stands_or_goes_back(clock: MovedClock) -> None:
    tokens = SessionTokens(b"k" * 32, clock)
    first = tokens.next_number(0)
    second = tokens.next_number(first)
    clock.advance(timedelta(days=-1))
    assert first < second < tokens.next_number(second)


def test_numbers_rise_over_a_restart_that_forgot_them(clock: MovedClock) -> None:
    last = SessionTokens(b"k" * 32, clock).next_number(0)
    clock.advance(timedelta(milliseconds=1))
    assert SessionTokens(b"k" * 32, clock).next_number(0) > last


def test_a_token_is_read_back_by_the_same_key_for_the_same_endpoint_only(clock: MovedClock) -> None:
    tokens = SessionTokens(b"k" * 32, clock)
    token = tokens.write("ep-1", 77)
    assert tokens.read("ep-1", token).number == 77
    assert tokens.read("ep-2", token).number is None
    assert SessionTokens(b"x" * 32, clock).read("ep-1", token).number is None
    assert tokens.read("ep-1", b"").number == 0


@given(token=st.binary(min_size=1, max_size=40))
def test_no_made_up_token_is_genuine(token: bytes) -> None:
    assert SessionTokens(b"k" * 32, MovedClock()).read("ep-1", token).number is None
