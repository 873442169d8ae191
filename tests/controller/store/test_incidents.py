"""Incidents as lists show them: status by what waits and how it ended, filters, outcomes."""

from datetime import timedelta

import pytest
from fixtures_controller import START, Chain, add_endpoint, closed, ingest, opened, outcome, pack

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.errors import NotFound
from homeostat_controller.store import incidents
from homeostat_controller.store.conditions import Condition, Filter
from homeostat_controller.store.conditions import Test as Held
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest


@pytest.fixture
def told(database: Database) -> Database:
    """Five incidents: open, waiting, healed, closed by itself, failed and still open."""
    add_endpoint(database, labels={"role": "web"})
    chain = Chain()
    for number, more in enumerate(
        (
            [],
            [pack("pack-1", "inc-1")],
            [outcome("run-2", "inc-2"), closed("inc-2")],
            [closed("inc-3", how="recovered")],
            [outcome("run-4", "inc-4", ending=incident_pb2.ENDING_FAILED)],
        )
    ):
        chain.add(opened(f"inc-{number}", START + timedelta(minutes=number), subject=f"web-{number}"))
        for event in more:
            chain.add(event)
    ingest(database, [chain.push()])
    return database


def ids(database: Database, *conditions: Condition) -> list[str]:
    with database.read() as connection:
        return [one.id for one in incidents.list_page(connection, Filter(conditions), PageRequest()).items]


def test_each_has_its_status(told: Database) -> None:
    with told.read() as connection:
        shown = incidents.list_page(connection, Filter(), PageRequest()).items
        counted = incidents.counts(connection)
    assert [(one.id, one.status) for one in shown] == [
        ("inc-4", "open"),
        ("inc-3", "closed"),
        ("inc-2", "healed"),
        ("inc-1", "waiting"),
        ("inc-0", "open"),
    ]
    assert counted == {"open": 2, "closed": 1, "healed": 1, "waiting": 1}
    assert shown[0].ending == "failed"


def test_filters(told: Database) -> None:
    assert ids(told, Condition("status", ("waiting", "healed"))) == ["inc-2", "inc-1"]
    assert ids(told, Condition("status", ("open",), negated=True)) == ["inc-3", "inc-2", "inc-1"]
    assert ids(told, Condition("subject", ("service:web-3",))) == ["inc-3"]
    assert ids(told, Condition("opened", (START + timedelta(minutes=3),), Held.AT_LEAST)) == ["inc-4", "inc-3"]
    assert ids(told, Condition("closed", (START,), Held.AT_MOST)) == ["inc-3", "inc-2"]
    assert ids(told, Condition("confidence", (0.5,), Held.BELOW)) == []
    assert ids(told, Condition("label.role", ("web",)), Condition("", ("web-0",))) == ["inc-0"]
    assert ids(told, Condition("ending", ("failed",))) == ["inc-4"]
    assert len(ids(told, Condition("endpoint", ("web-1",)), Condition("site", ("default",)))) == 5


def test_outcomes_have_their_steps(told: Database) -> None:
    with told.read() as connection:
        shown = incidents.outcomes(connection, Filter(), PageRequest()).items
        failed = incidents.outcomes(connection, Filter((Condition("ending", ("failed",)),)), PageRequest()).items
    assert [one.run_id for one in shown] == ["run-4", "run-2"]
    assert [(one.run_id, one.endpoint, one.subject) for one in failed] == [("run-4", "web-1", "service:web")]
    assert shown[0].message.steps[0].stage == "verifying"
    assert shown[0].ended_at - shown[0].started_at == timedelta(seconds=2)


def test_pages_of_one_walk_them_all(told: Database) -> None:
    seen, after = [], ""
    with told.read() as connection:
        while True:
            page = incidents.list_page(connection, Filter(), PageRequest(1, after))
            seen += [one.id for one in page.items]
            after = page.next
            if not after:
                break
    assert seen == [f"inc-{number}" for number in (4, 3, 2, 1, 0)]


def test_an_unknown_incident_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound), database.read() as connection:
        incidents.get(connection, "inc-9")
