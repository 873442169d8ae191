"""Who is kept out: at once in memory, for good in the store, and told to whoever has to act on it."""

from datetime import timedelta

import pytest
from fixtures_controller import add_endpoint

from fakes.moved_clock import MovedClock
from homeostat_controller.agents.standing import Standings
from homeostat_controller.errors import Conflict, NotFound
from homeostat_controller.store import audit, endpoints
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest


class Told(list[tuple[str, str]]):
    def __call__(self, endpoint_id: str, cause: str) -> None:
        self.append((endpoint_id, cause))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def standings(database: Database, clock: MovedClock, told: Told) -> Standings:
    add_endpoint(database, "ep-1", name="web-1")
    return Standings(database, clock, told)


def standing(database: Database) -> tuple[str, str]:
    with database.read() as connection:
        view = endpoints.get(connection, "ep-1").view
    return view.standing, view.standing_reason


def test_freezing_revoking_and_letting_in_again(database: Database, standings: Standings, told: Told) -> None:
    standings.freeze("web-1", "anna", "a copy was seen")
    assert standings.is_barred("ep-1")
    assert standing(database) == ("frozen", "a copy was seen")
    standings.readmit("ep-1", "anna", "it is the right one")
    assert not standings.is_barred("ep-1")
    assert standing(database) == ("active", "")
    standings.revoke("ep-1", "otto", "sold")
    assert standings.is_barred("ep-1")
    assert told == [("ep-1", "barred"), ("ep-1", "readmitted"), ("ep-1", "barred")]
    with database.read() as connection:
        acts = audit.list_page(connection, AuditFilter(object_id="ep-1"), PageRequest()).items
    assert [(one.actor, one.verb) for one in acts] == [("otto", "revoke"), ("anna", "readmit"), ("anna", "freeze")]


def test_what_is_revoked_stays_so(standings: Standings) -> None:
    standings.revoke("ep-1", "anna", "sold")
    for change in (standings.revoke, standings.freeze, standings.readmit):
        with pytest.raises(Conflict, match="revoked already"):
            change("ep-1", "anna", "again")


def test_an_unknown_endpoint_has_no_standing(standings: Standings, told: Told) -> None:
    with pytest.raises(NotFound):
        standings.freeze("ep-9", "anna", "why")
    assert told == []


def test_standings_last_over_a_restart(database: Database, standings: Standings, clock: MovedClock) -> None:
    standings.revoke("ep-1", "anna", "sold")
    clock.advance(timedelta(days=1))
    assert Standings(database, clock, lambda _id, _cause: None).is_barred("ep-1")
