"""Judging, storing and noting within one transaction, on both databases."""

from datetime import timedelta

import pytest
from fixtures_controller import START, Chain, add_endpoint, closed, decided, opened

from homeostat_controller.agents import ingest
from homeostat_controller.agents.ingest import ChainBroken, Ingest
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import audit, events, incidents
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def doing(metrics: Metrics) -> Ingest:
    return Ingest(metrics)


def acts(database: Database) -> list[str]:
    with database.read() as connection:
        return [one.verb for one in audit.list_page(connection, AuditFilter(actor="inbox"), PageRequest()).items]


def chain_of(endpoint_id: str = "ep-1", incidents_: int = 2) -> Chain:
    chain = Chain(endpoint_id)
    for number in range(incidents_):
        for event in (opened(f"{endpoint_id}-{number}"), decided(f"{endpoint_id}-{number}")):
            chain.add(event)
    return chain


def test_several_pushes_of_several_endpoints_in_one_transaction(
    database: Database, doing: Ingest, metrics: Metrics
) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    one, two = chain_of("ep-1"), chain_of("ep-2")
    with database.write() as connection:
        # The second push of ep-1 continues and repeats the first, which is not committed yet.
        results = doing.store(connection, [one.push(1, 2), two.push(), one.push(2, 4)], START)
    assert results == [3, 5, 5]
    with database.read() as connection:
        assert incidents.list_page(connection, Filter(), PageRequest()).total == 4
        assert len(events.log(connection, "ep-1", 1, 100)) == 4
    sample = metrics.registry.get_sample_value
    assert (sample("homeostat_events_stored_total"), sample("homeostat_events_repeated_total")) == (8, 1)


def test_a_broken_push_is_refused_alone_and_audited_once_in_a_while(database: Database, doing: Ingest) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    forged = chain_of("ep-1").push()
    forged.records[1].body = b"forged"
    for minutes in (0, 1, 9, 11):
        with database.write() as connection:
            now = START + timedelta(minutes=minutes)
            bad, good = doing.store(connection, [forged, chain_of("ep-2").push()], now)
        assert isinstance(bad, ChainBroken)
        assert good == 5
    assert acts(database) == ["refuse-records", "refuse-records"]
    with database.read() as connection:
        assert events.log(connection, "ep-1", 1, 10) == ()


def test_gaps_and_restarts_are_audited(database: Database, doing: Ingest) -> None:
    add_endpoint(database)
    chain = chain_of()
    with database.write() as connection:
        assert doing.store(connection, [chain.push(1, 2), chain.push(4)], START) == [3, 3]
    fresh = Chain(next_sequence=3)
    fresh.add(closed("ep-1-0"))
    with database.write() as connection:
        assert doing.store(connection, [fresh.push(3)], START) == [4]
    assert acts(database) == ["restart-chain", "miss-records"]
    with database.read() as connection:
        assert audit.verify(connection).problem == ""


def test_an_unknown_endpoint_has_no_chain(database: Database, doing: Ingest) -> None:
    with database.write() as connection:
        (result,) = doing.store(connection, [chain_of("ep-9").push()], START)
    assert isinstance(result, ChainBroken)


def test_what_is_remembered_for_the_audit_is_bounded(sqlite: Database, doing: Ingest) -> None:
    for number in range(ingest.AUDITED_MAX + 10):
        assert doing._is_due(f"ep-{number}", "refuse-records", START)
    assert len(doing._audited) == ingest.AUDITED_MAX
