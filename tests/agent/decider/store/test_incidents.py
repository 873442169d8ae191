import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeostat.budget import PastRun
from homeostat.diagnosis import FaultClass
from homeostat.outcome import Ending
from homeostat.subject import Subject, SubjectKind
from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_agent.decider.store.database import open_database
from homeostat_agent.decider.store.incidents import (
    CLOSED_MAX,
    ENTRIES_PER_INCIDENT_MAX,
    FOUND_MAX,
    RUNS_MAX,
    EntryMessage,
    IncidentStore,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEB = Subject(SubjectKind.SERVICE, "web")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "store.db", NOW).connection
    opened.execute("BEGIN")
    yield opened
    opened.close()


@pytest.fixture
def store(connection: sqlite3.Connection) -> IncidentStore:
    return IncidentStore(connection)


def incident(incident_id: str, minute: int = 0, confidence: float = 1.0) -> incident_pb2.Incident:
    message = incident_pb2.Incident(id=incident_id, fault="service-down", confidence=confidence)
    message.opened_at.FromDatetime(NOW + timedelta(minutes=minute))
    return message


def closed(incident_id: str, minute: int = 0, how: str = "healed") -> link_pb2.IncidentClosed:
    message = link_pb2.IncidentClosed(incident_id=incident_id, how=how)
    message.at.FromDatetime(NOW + timedelta(minutes=minute))
    return message


def past(minute: int = 0, ending: Ending | None = None, *, approved: bool = False) -> PastRun:
    return PastRun(
        "restart", WEB, FaultClass.SERVICE_DOWN, "web-down", NOW + timedelta(minutes=minute), ending, approved
    )


def test_an_incident_is_open_until_it_is_closed_and_stays_found(store: IncidentStore) -> None:
    store.opened(incident("i-1"))
    store.opened(incident("i-2", 1))
    assert [one.incident.id for one in store.open()] == ["i-1", "i-2"]
    store.closed(closed("i-1", 5))
    store.closed(closed("i-1", 9, "superseded"))
    assert [one.incident.id for one in store.open()] == ["i-2"]
    (found,) = store.find("i-1")
    assert (found.how, found.incident.closed_at.ToDatetime(UTC)) == ("healed", NOW + timedelta(minutes=5))


def test_newer_evidence_replaces_the_older(store: IncidentStore) -> None:
    store.opened(incident("i-1", confidence=0.5))
    store.opened(incident("i-1", confidence=0.9))
    (found,) = store.open()
    assert found.incident.confidence == 0.9


def test_entries_are_told_in_the_order_they_came(store: IncidentStore) -> None:
    entries: list[EntryMessage] = [
        incident_pb2.Decision(incident_id="i-1", kind=incident_pb2.DECISION_KIND_ASK),
        incident_pb2.ExceptionPack(id="p-1"),
        link_pb2.Denial(pack_id="p-1", by="anna"),
        incident_pb2.Decision(incident_id="i-1", kind=incident_pb2.DECISION_KIND_ACT),
        incident_pb2.RunStep(stage="acting"),
        incident_pb2.Outcome(run_id="r-1"),
    ]
    store.opened(incident("i-1"))
    store.opened(incident("i-10"))
    for one in entries:
        assert store.add("i-1", one)
    store.add("i-10", incident_pb2.RunStep(stage="other"))
    (found,) = [one for one in store.find("i-1") if one.incident.id == "i-1"]
    assert list(found.entries) == entries


def test_entries_are_bounded_but_outcomes_and_denials_are_always_kept(store: IncidentStore) -> None:
    store.opened(incident("i-1"))
    room = [store.add("i-1", incident_pb2.RunStep(stage=str(n))) for n in range(ENTRIES_PER_INCIDENT_MAX + 1)]
    assert room == [True] * ENTRIES_PER_INCIDENT_MAX + [False]
    assert store.add("i-1", incident_pb2.Outcome(run_id="r-1"))
    assert store.add("i-1", link_pb2.Denial(pack_id="p-1"))
    (found,) = store.find("i-1")
    assert len(found.entries) == ENTRIES_PER_INCIDENT_MAX + 2


def test_closed_incidents_are_bounded_and_open_ones_are_kept(
    store: IncidentStore, connection: sqlite3.Connection
) -> None:
    store.opened(incident("open", -1))
    for n in range(CLOSED_MAX + 3):
        store.opened(incident(f"i-{n:05}", n))
        store.add(f"i-{n:05}", incident_pb2.RunStep(stage="acting"))
        store.closed(closed(f"i-{n:05}", n))
    assert connection.execute("SELECT count(*) FROM incident").fetchone() == (CLOSED_MAX + 1,)
    assert connection.execute("SELECT count(*) FROM incident_entry").fetchone() == (CLOSED_MAX,)
    assert store.find("i-00002") == ()
    assert len(store.find("i-00003")) == 1
    assert [one.incident.id for one in store.open()] == ["open"]


def test_the_recent_ones_come_newest_first_and_bounded(store: IncidentStore) -> None:
    for n in range(FOUND_MAX + 5):
        store.opened(incident(f"i-{n}", n))
    store.closed(closed("i-104", 200))
    assert [one.incident.id for one in store.recent(2)] == ["i-104", "i-103"]
    assert store.recent(1)[0].how == "healed"
    assert len(store.recent(10_000)) == FOUND_MAX
    assert len(store.find("i-")) == FOUND_MAX


def test_a_beginning_is_taken_literally(store: IncidentStore) -> None:
    store.opened(incident("i-1"))
    assert store.find("%") == ()
    assert store.find("i_") == ()
    assert len(store.find("i-")) == 1


def test_runs_become_the_history_that_budgets_count(store: IncidentStore) -> None:
    store.run_started("r-0", "i-0", past(-60))
    store.run_started("r-1", "i-1", past(0, approved=True))
    store.run_started("r-2", "i-1", past(1))
    store.run_started("r-2", "i-1", past(50))
    assert store.run_ended("r-1", Ending.ROLLED_BACK)
    assert not store.run_ended("r-1", Ending.HEALED)
    assert not store.run_ended("r-9", Ending.HEALED)
    assert store.history(NOW).runs == (past(0, Ending.ROLLED_BACK, approved=True), past(1))
    assert len(store.history(NOW - timedelta(days=1)).runs) == 3


def test_runs_are_bounded(store: IncidentStore, connection: sqlite3.Connection) -> None:
    for n in range(RUNS_MAX + 2):
        connection.execute(
            "INSERT INTO run VALUES (?, 'i', 'p', 'service', 'web', 'service-down', 'r', ?, 0, NULL, 0)", (f"r-{n}", n)
        )
    store.run_started("last", "i", past())
    assert connection.execute("SELECT count(*), min(started_us) FROM run").fetchone() == (RUNS_MAX, 3)
