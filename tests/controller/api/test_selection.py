from datetime import UTC, datetime, timedelta

import pytest

from homeostat_controller.api.filter_language import ENDPOINT_FIELDS, FilterError
from homeostat_controller.api.selection import selection
from homeostat_controller.store.conditions import Condition, Filter
from homeostat_controller.store.conditions import Test as Held

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AN_HOUR_AGO = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("web", Condition("", ("web",))),
        ("-status:ok,healing", Condition("status", ("ok", "healing"), negated=True)),
        ("open_incidents:>=2", Condition("open_incidents", (2.0,), Held.AT_LEAST)),
        ("last_seen:<1h", Condition("last_seen", (AN_HOUR_AGO,), Held.ABOVE)),
        ("last_seen:<=1h", Condition("last_seen", (AN_HOUR_AGO,), Held.AT_LEAST)),
        ("last_seen:>1h", Condition("last_seen", (AN_HOUR_AGO,), Held.BELOW)),
        ("-last_seen:>=1h", Condition("last_seen", (AN_HOUR_AGO,), Held.AT_MOST, negated=True)),
        ("label.role:web*", Condition("label.role", ("web*",))),
    ],
)
def test_a_term_becomes_a_condition(text: str, condition: Condition) -> None:
    assert selection(text, ENDPOINT_FIELDS, NOW) == Filter((condition,))


def test_no_text_selects_everything() -> None:
    assert selection(" ", ENDPOINT_FIELDS, NOW) == Filter()


def test_a_mistake_is_passed_on() -> None:
    with pytest.raises(FilterError):
        selection("no:thing", ENDPOINT_FIELDS, NOW)
