"""Events become rows: the same ones every time, each endpoint's own, and hostile content is only ever a notice."""

from datetime import timedelta
from typing import Any

import pytest
from fixtures_controller import START, Chain, add_endpoint, closed, decided, incident, ingest, opened, outcome, pack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_controller.store import approvals, derived, events, incidents
from homeostat_controller.store.column_types import Record
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.derived import Derived, Origin
from homeostat_controller.store.paging import PageRequest

TABLES = ("incident", "decision", "outcome", "exception_pack", "notice")


def rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    found = {}
    with database.read() as connection:
        for name in TABLES:
            table = Record.metadata.tables[name]
            found[name] = [row._asdict() for row in connection.execute(select(table).order_by(*table.primary_key))]
    return found


def story(endpoint_id: str = "ep-1", suffix: str = "1") -> Chain:
    chain = Chain(endpoint_id)
    for event in (
        opened(f"inc-{suffix}"),
        decided(f"inc-{suffix}"),
        pack(f"pack-{suffix}", f"inc-{suffix}"),
        outcome(f"run-{suffix}", f"inc-{suffix}", pack_id=f"pack-{suffix}"),
        closed(f"inc-{suffix}", START + timedelta(minutes=1)),
    ):
        chain.add(event)
    return chain


def test_a_story_becomes_its_rows(database: Database) -> None:
    add_endpoint(database)
    ingest(database, [story().push()])
    with database.read() as connection:
        detail = incidents.get(connection, "inc-1")
    assert (detail.view.status, detail.view.decision, detail.view.ending) == ("healed", "ask", "healed")
    assert (detail.view.fault, detail.view.subject, detail.view.how_closed) == (
        "service-down",
        "service:web",
        "healed",
    )
    assert [one.code for one in detail.decisions] == ["risk"]
    assert [(one.run_id, one.pack_id) for one in detail.outcomes] == [("run-1", "pack-1")]
    assert detail.message.evidence.signals[0].kind == "service-exited"
    assert detail.packs == ("pack-1",)


@pytest.mark.parametrize("cuts", [[1, 2, 3, 4, 5], [5], [2, 5], [3, 4, 5]])
def test_the_same_events_give_the_same_rows_however_they_are_cut(database: Database, cuts: list[int]) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    ingest(database, [story("ep-2", "2").push()])
    chain, first = story("ep-1", "1"), 1
    for last in cuts:
        ingest(database, [chain.push(first, last)])
        first = last + 1
    expected = rows(database)
    ingest(database, [chain.push(), story("ep-2", "2").push()])  # repeats change nothing
    assert rows(database) == expected
    assert [row["status"] for row in expected["exception_pack"]] == ["void", "void"]


def test_a_newer_pack_takes_the_place_of_the_older(database: Database) -> None:
    add_endpoint(database)
    chain = Chain()
    for event in (opened(), pack("pack-1"), pack("pack-2"), pack("pack-3")):
        chain.add(event)
    ingest(database, [chain.push(1, 2)])
    ingest(database, [chain.push(3)])
    with database.read() as connection:
        packs = approvals.list_page(connection, Filter(), PageRequest()).items
    assert {one.id: one.status for one in packs} == {"pack-1": "void", "pack-2": "void", "pack-3": "waiting"}


def test_the_end_of_an_incident_voids_its_waiting_pack(database: Database) -> None:
    add_endpoint(database)
    chain = Chain()
    for event in (opened(), pack(), closed()):
        chain.add(event)
    ingest(database, [chain.push()])
    with database.read() as connection:
        detail = approvals.get(connection, "pack-1")
    assert (detail.view.status, detail.view.reason) == ("void", "the incident closed")


@pytest.mark.parametrize("cuts", [[4], [1, 2, 3, 4], [2, 4]])
def test_an_endpoint_that_decides_otherwise_takes_its_question_back(database: Database, cuts: list[int]) -> None:
    add_endpoint(database)
    chain, first = Chain(), 1
    observed = link_pb2.Event()
    observed.CopyFrom(decided())
    observed.decision.kind = incident_pb2.DECISION_KIND_OBSERVE
    for event in (opened(), decided(), pack("pack-1"), observed):
        chain.add(event)
    for last in cuts:
        ingest(database, [chain.push(first, last)])
        first = last + 1
    with database.read() as connection:
        detail = approvals.get(connection, "pack-1")
    assert (detail.view.status, detail.view.reason) == ("void", "the endpoint has decided otherwise since")


def test_a_question_asked_again_after_that_waits(database: Database) -> None:
    add_endpoint(database)
    chain = Chain()
    observed = link_pb2.Event()
    observed.CopyFrom(decided())
    observed.decision.kind = incident_pb2.DECISION_KIND_OBSERVE
    for event in (opened(), pack("pack-1"), observed, decided(), pack("pack-2")):
        chain.add(event)
    ingest(database, [chain.push()])
    with database.read() as connection:
        packs = approvals.list_page(connection, Filter(), PageRequest()).items
    assert {one.id: one.status for one in packs} == {"pack-1": "void", "pack-2": "waiting"}


def test_one_endpoint_cannot_change_anothers_rows(database: Database) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    victim = Chain("ep-1")
    for event in (opened(), pack()):
        victim.add(event)
    ingest(database, [victim.push()])
    before = rows(database)
    thief = Chain("ep-2")
    for event in (
        opened("inc-1", subject="stolen"),
        closed("inc-1"),
        pack("pack-1", "inc-1"),
        pack("pack-9", "inc-1"),
        outcome("run-9", "inc-1", pack_id="pack-1"),
        decided("inc-1"),
    ):
        thief.add(event)
    ingest(database, [thief.push()])
    after = rows(database)
    for name in TABLES:
        assert [row for row in after[name] if row["endpoint_id"] == "ep-1"] == before[name]
    with database.read() as connection:
        detail = incidents.get(connection, "inc-1")
    assert (detail.view.endpoint_id, detail.decisions, detail.outcomes) == ("ep-1", (), ())


def hostile() -> list[link_pb2.Event | bytes]:
    nul = incident("inc-nul")
    nul.fault = "service\0down"
    nul.subject.name = "x" * 5000
    nan = incident("inc-nan")
    nan.confidence = float("nan")
    dated = incident("inc-dated")
    dated.opened_at.seconds = 2**62
    odd = link_pb2.Event(decision=incident_pb2.Decision(incident_id="inc-1", policy_revision=2**64 - 1))
    odd.decision.kind = 77  # type: ignore[assignment]  # a newer agent may know more kinds
    big = outcome("run-big")
    big.outcome.restarts = 2**32 - 1
    big.outcome.reason = "r" * 100_000
    return [
        b"\xff\xff\xff",
        b"",
        link_pb2.Event(incident_opened=nul),
        link_pb2.Event(incident_opened=nan),
        link_pb2.Event(incident_opened=dated),
        opened(""),
        opened("i" * 500),
        opened("nul\0"),
        odd,
        big,
        link_pb2.Event(notice=link_pb2.Notice(code="c\0" * 500, sentence="s\0" * 5000)),
        link_pb2.Event(policy_rejected=link_pb2.PolicyRejection(reason="no")),
        link_pb2.Event(incident_closed=link_pb2.IncidentClosed(incident_id="nobody's")),
    ]


def test_hostile_content_is_stored_in_the_log_and_fails_nothing(database: Database) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    chain = Chain("ep-1")
    for event in hostile():
        chain.add(event)
    assert ingest(database, [chain.push(), story("ep-2", "2").push()]) == [len(hostile()) + 1, 6]
    with database.read() as connection:
        assert incidents.get(connection, "inc-2").view.status == "healed"
        assert incidents.get(connection, "inc-nan").view.confidence == 0.0
        assert incidents.get(connection, "inc-dated").view.opened_at == START
        codes = [one.code for one in events.notices(connection, Filter(), PageRequest()).items]
        assert len(events.log(connection, "ep-1", 1, 100)) == len(hostile())
    assert codes.count("event-unreadable") == 4
    assert "policy-rejected" in codes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(body=st.binary(max_size=200))
def test_no_bytes_are_a_fault(sqlite: Database, body: bytes) -> None:
    gathered = Derived()
    gathered.add(Origin("ep-1", 1, START), body)
    for table in (gathered.incidents, gathered.decisions, gathered.outcomes, gathered.packs, gathered.notices):
        assert all(isinstance(row, dict) for row in table)


def test_nothing_derived_is_nothing_written(database: Database) -> None:
    with database.write() as connection:
        derived.write(connection, Derived())
