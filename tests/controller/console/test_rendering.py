from datetime import UTC, datetime, timedelta

import jinja2
import pytest

from homeostat_controller.api.schemas import Incident
from homeostat_controller.console.rendering import (
    AGE_DAYS_MAX,
    Frame,
    age,
    clock,
    exactly,
    plural,
    reading,
    render,
    segment,
    tone,
    took,
)

NOW = datetime(2026, 3, 1, 12, 0, 5, 7000, tzinfo=UTC)
FRAME = Frame("Title", "overview", "admin", "secret", NOW)


@pytest.mark.parametrize(
    ("ago_s", "told"),
    [
        (0, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (7200, "2 h ago"),
        (AGE_DAYS_MAX * 86_400, f"{AGE_DAYS_MAX} d ago"),
        (AGE_DAYS_MAX * 86_400 + 1, "2026-02-15"),
        (-90, "in 1 min"),
    ],
)
def test_ages_are_told_roughly(ago_s: int, told: str) -> None:
    assert age(NOW - timedelta(seconds=ago_s), NOW) == told


def test_times_in_full() -> None:
    assert exactly(NOW) == "2026-03-01 12:00:05 UTC"
    assert clock(NOW) == "12:00:05.007"
    assert (age(None, NOW), exactly(None), clock(None)) == ("-", "", "")


def test_small_words() -> None:
    assert (plural(1, "record"), plural(2000, "record"), plural(2, "entry", "entries")) == (
        "1 record",
        "2,000 records",
        "2 entries",
    )
    assert (reading(4.2512), reading(8234567890.0), reading(0.0)) == ("4.251", "8,234,567,890", "0")
    assert segment("a/b?c#d..") == "a%2Fb%3Fc%23d.."
    assert (tone("healed"), tone("waiting"), tone("failed"), tone("never heard of")) == ("good", "wait", "bad", "idle")


@pytest.mark.parametrize(
    ("took_s", "told"), [(None, ""), (0.042, "42 ms"), (1.26, "1.3 s"), (60, "1 min"), (7300, "2 h")]
)
def test_how_long_an_incident_lasted(took_s: float | None, told: str) -> None:
    closed_at = None if took_s is None else NOW + timedelta(seconds=took_s)
    incident = Incident.model_construct(opened_at=NOW, closed_at=closed_at)
    assert took(incident) == told


def test_a_template_that_lacks_a_value_fails_loudly() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("incident.html", frame=FRAME)


def test_everything_is_escaped() -> None:
    hostile = '<script>alert(1)</script>" onload="x'
    page = render("sign_in.html", mistake=hostile)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34; onload=&#34;x" in page
