from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from domain_values import CACHE, RULE, WEB
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.catalogue import THRESHOLDS
from homeostat.diagnosis import FaultClass
from homeostat.policy import NO_POLICY, Level, Policy, QuietHours, Selector, Threshold
from homeostat.policy_check import check
from homeostat.subject import ENDPOINT

NIGHT = QuietHours("night", 22 * 60, 6 * 60)
NOON = QuietHours("noon", 12 * 60, 13 * 60)
WEEKEND = QuietHours("weekend", 20 * 60, 20 * 60, frozenset({5}))


def local(day: int, time: str) -> datetime:
    """A moment of January 2030, in which the first is a Tuesday, in an endpoint's own zone."""
    hour, minute = map(int, time.split(":"))
    return datetime(2030, 1, day, hour, minute, 59, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=45)))


def test_each_level_trusts_more_than_the_one_before() -> None:
    assert [level.word for level in sorted(Level)] == ["observe", "shadow", "ask", "act"]


@pytest.mark.parametrize(
    ("labels", "selected"),
    [
        ({"env": "prod", "role": "web"}, True),
        ({"env": "prod", "role": "db", "more": "x"}, True),
        ({"env": "test", "role": "web"}, False),
        ({"env": "prod"}, False),
        ({}, False),
    ],
)
def test_a_selector_wants_one_value_of_every_key(labels: dict[str, str], *, selected: bool) -> None:
    assert Selector({"env": ("prod",), "role": ("web", "db")}).selects(labels) is selected


def test_an_empty_selector_selects_all() -> None:
    assert Selector().selects({})
    assert Selector().selects({"a": "b"})


@pytest.mark.parametrize(
    ("hours", "time", "quiet"),
    [
        (NOON, "11:59", False),
        (NOON, "12:00", True),
        (NOON, "12:59", True),
        (NOON, "13:00", False),
        (NIGHT, "21:59", False),
        (NIGHT, "22:00", True),
        (NIGHT, "23:59", True),
        (NIGHT, "00:00", True),
        (NIGHT, "05:59", True),
        (NIGHT, "06:00", False),
        (replace(NIGHT, end_minute=0), "23:59", True),
        (replace(NIGHT, end_minute=0), "00:00", False),
        (replace(NIGHT, end_minute=1440), "23:59", True),
        (replace(NIGHT, end_minute=1440), "00:00", False),
        (replace(NOON, start_minute=0, end_minute=1440), "00:00", True),
        (replace(NOON, start_minute=0, end_minute=1440), "23:59", True),
    ],
)
def test_quiet_hours_of_every_day(hours: QuietHours, time: str, *, quiet: bool) -> None:
    assert hours.covers(local(3, time)) is quiet


@pytest.mark.parametrize(
    ("day", "time", "quiet"),
    [
        (4, "19:59", False),  # Friday, before they begin
        (4, "20:00", True),
        (5, "00:00", True),
        (5, "19:59", True),
        (5, "20:00", False),  # Saturday: they begin on Fridays only
        (6, "03:00", False),
        (3, "20:30", False),
    ],
)
def test_quiet_hours_count_for_the_day_they_begin_on(day: int, time: str, *, quiet: bool) -> None:
    assert WEEKEND.covers(local(day, time)) is quiet


def test_a_sunday_night_lasts_into_monday() -> None:
    sunday = replace(NIGHT, weekdays=frozenset({7}))
    assert sunday.covers(local(7, "03:00"))
    assert not sunday.covers(local(8, "03:00"))
    assert not sunday.covers(local(6, "03:00"))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1439), st.integers(0, 1440), st.frozensets(st.integers(1, 7)))
def test_quiet_hours_take_as_long_as_they_say(start: int, end: int, weekdays: frozenset[int]) -> None:
    hours = QuietHours("q", start, end, weekdays)
    monday = datetime(2030, 1, 7, tzinfo=UTC)
    week = sum(hours.covers(monday + timedelta(minutes=minute)) for minute in range(7 * 1440))
    length = end - start if start < end else 1440 - start + end
    assert week == length * (len(weekdays) or 7)


def test_a_rule_covers_its_faults_on_its_subjects() -> None:
    assert RULE.covers(FaultClass.SERVICE_DOWN, WEB)
    assert not RULE.covers(FaultClass.SERVICE_HUNG, WEB)
    assert not RULE.covers(FaultClass.SERVICE_DOWN, CACHE)
    both = replace(RULE, subjects=("process:*", "endpoint:*"))
    assert both.covers(FaultClass.SERVICE_DOWN, ENDPOINT)


def test_a_threshold_is_the_policys_or_the_default() -> None:
    policy = Policy("x", thresholds={"disk_used_percent": Threshold("disk_used_percent", 75.0)})
    assert policy.threshold("disk_used_percent") == 75.0
    assert policy.threshold("inodes_used_percent") == THRESHOLDS["inodes_used_percent"].default
    with pytest.raises(KeyError):
        policy.threshold("disk")


def test_before_any_policy_an_agent_only_watches() -> None:
    assert NO_POLICY.rules == ()
    assert check(NO_POLICY) == ()
