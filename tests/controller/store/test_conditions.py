"""Conditions mean the same on both databases, for texts, numbers, moments, labels, words and absent values."""

from datetime import timedelta

import pytest
from fixtures_controller import START, add_endpoint
from sqlalchemy import text

from homeostat_controller.errors import Invalid
from homeostat_controller.store import endpoints
from homeostat_controller.store.conditions import CONDITIONS_MAX, Condition, Filter, Value
from homeostat_controller.store.conditions import Test as Held
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest
from homeostat_controller.store.session_states import Report, StateRow, write


@pytest.fixture
def fleet(database: Database) -> Database:
    add_endpoint(database, "ep-1", name="web-1", labels={"role": "web", "tier": "Gold"})
    add_endpoint(database, "ep-2", name="web_2", labels={"role": "web"})
    add_endpoint(database, "ep-3", name="db%1", labels={"role": "db"})
    with database.write() as connection:
        state = StateRow("degraded", "web is down", {"open_incidents": 2}, START)
        write(connection, [Report("ep-1", START, connected=True, state=state)])
        write(connection, [Report("ep-2", START - timedelta(hours=2), connected=False)])
    return database


def names(database: Database, *conditions: Condition) -> list[str]:
    with database.read() as connection:
        page = endpoints.list_page(connection, Filter(conditions), PageRequest())
    assert page.total == len(page.items)
    return [one.name for one in page.items]


def is_(field: str, *values: Value, negated: bool = False) -> Condition:
    return Condition(field, values, negated=negated)


def test_texts_compare_without_case_and_only_the_star_is_wild(fleet: Database) -> None:
    assert names(fleet, is_("name", "WEB-1")) == ["web-1"]
    assert names(fleet, is_("name", "web*")) == ["web-1", "web_2"]
    assert names(fleet, is_("name", "web_1")) == []  # an underscore is itself
    assert names(fleet, is_("name", "db%*")) == ["db%1"]
    assert names(fleet, is_("name", "%")) == []
    assert names(fleet, is_("name", "web\\")) == []


def test_several_values_are_alternatives_and_several_conditions_are_all_needed(fleet: Database) -> None:
    assert names(fleet, is_("name", "web-1", "db*")) == ["db%1", "web-1"]
    assert names(fleet, is_("name", "web*"), is_("label.tier", "gold")) == ["web-1"]


def test_negation_selects_exactly_the_others_absent_values_included(fleet: Database) -> None:
    assert names(fleet, is_("status", "degraded", negated=True)) == ["db%1", "web_2"]
    recent = Condition("last_seen", (START - timedelta(hours=1),), Held.ABOVE)
    assert names(fleet, recent) == ["web-1"]
    unseen = Condition("last_seen", (START - timedelta(hours=1),), Held.ABOVE, negated=True)
    assert names(fleet, unseen) == ["db%1", "web_2"]  # ep-3 was never seen


def test_status_is_offline_unless_connected(fleet: Database) -> None:
    assert names(fleet, is_("status", "offline")) == ["db%1", "web_2"]
    with fleet.read() as connection:
        assert endpoints.counts(connection) == {"degraded": 1, "offline": 2, "total": 3}


def test_labels_by_key_and_value(fleet: Database) -> None:
    assert names(fleet, is_("label.role", "w*")) == ["web-1", "web_2"]
    assert names(fleet, is_("label.tier", "gold", negated=True)) == ["db%1", "web_2"]
    assert names(fleet, is_("label.nothing", "*")) == []


def test_numbers(fleet: Database) -> None:
    assert names(fleet, Condition("open_incidents", (1.0,), Held.ABOVE)) == ["web-1"]
    assert names(fleet, Condition("open_incidents", (2.0,), Held.AT_MOST)) == ["db%1", "web-1", "web_2"]
    assert names(fleet, Condition("open_incidents", (2.0,), Held.BELOW)) == ["db%1", "web_2"]
    assert names(fleet, Condition("open_incidents", (2.0,), Held.AT_LEAST)) == ["web-1"]
    assert names(fleet, is_("open_incidents", 0.0)) == ["db%1", "web_2"]


def test_a_bare_word_is_looked_for_in_the_telling_fields(fleet: Database) -> None:
    assert names(fleet, is_("", "EB-")) == ["web-1"]
    assert names(fleet, is_("", "debian")) == ["db%1", "web-1", "web_2"]
    assert names(fleet, is_("", "%")) == ["db%1"]
    assert names(fleet, is_("", "web", negated=True)) == ["db%1"]


def test_a_scope_hides_other_organisations(fleet: Database) -> None:
    with fleet.read() as connection:
        own = endpoints.list_page(connection, Filter(organisation_id="default"), PageRequest())
        other = endpoints.list_page(connection, Filter(organisation_id="another"), PageRequest())
    assert (own.total, other.total) == (3, 0)


@pytest.mark.parametrize(
    "condition",
    [
        is_("colour", "red"),
        Condition("last_seen", (3.0,), Held.BELOW),
        Condition("open_incidents", (START,), Held.BELOW),
        Condition("name", (3.0,), Held.BELOW),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(fleet: Database, condition: Condition) -> None:
    with pytest.raises(Invalid):
        names(fleet, condition)


@pytest.mark.parametrize("value", ["'; DROP TABLE endpoint; --", '"', "\\'", "a' OR '1'='1"])
def test_a_value_is_never_part_of_the_statement(fleet: Database, value: str) -> None:
    assert names(fleet, is_("name", value)) == []
    assert names(fleet, is_("label.role", value)) == []
    assert names(fleet, is_("", value)) == []
    with fleet.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM endpoint")).scalar_one() == 3


def test_the_number_of_conditions_is_bounded(fleet: Database) -> None:
    assert names(fleet, *[is_("label.role", "web")] * CONDITIONS_MAX) == ["web-1", "web_2"]
    with pytest.raises(Invalid, match="conditions"):
        names(fleet, *[is_("label.role", "web")] * (CONDITIONS_MAX + 1))


def test_a_condition_without_values_selects_nothing(fleet: Database) -> None:
    assert names(fleet, is_("name")) == []
