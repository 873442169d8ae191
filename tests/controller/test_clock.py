"""The clock answers an aware time in UTC that does not go back."""

from datetime import timedelta

from homeostat_controller.clock import utc_now


def test_the_time_is_aware_utc_and_moves() -> None:
    first, second = utc_now(), utc_now()
    assert first.utcoffset() == timedelta()
    assert second >= first
