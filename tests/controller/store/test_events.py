"""Event logs: chains end where they say, records are read back, notices are listed."""

from datetime import timedelta

from fixtures_controller import START, Chain, add_endpoint, decided, ingest, opened

from homeostat.wire.v1 import link_pb2
from homeostat_controller.store import events
from homeostat_controller.store.conditions import Condition, Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.events import ChainEnd
from homeostat_controller.store.paging import PageRequest


def test_a_new_endpoints_chain_is_empty_and_an_unknown_ones_is_not_there(database: Database) -> None:
    add_endpoint(database)
    with database.write() as connection:
        assert events.ends(connection, ["ep-1", "ep-9"]) == {"ep-1": ChainEnd(1, bytes(32))}


def test_records_are_kept_as_they_came(database: Database) -> None:
    add_endpoint(database)
    chain = Chain()
    for event in (opened(), decided()):
        chain.add(event)
    assert ingest(database, [chain.push()]) == [3]
    with database.write() as connection:
        assert events.ends(connection, ["ep-1"]) == {"ep-1": ChainEnd(3, chain.head)}
        kept = events.log(connection, "ep-1", 1, 10)
        assert [(one.sequence, one.body, one.hash) for one in kept] == [
            (one.sequence, one.body, one.hash) for one in chain.records
        ]
        assert events.log(connection, "ep-1", 2, 1) == kept[1:]
        assert events.hashes(connection, "ep-1", [2, 7]) == {2: chain.records[1].hash}


def test_notices_are_listed_with_their_endpoint(database: Database) -> None:
    for number in range(2):
        add_endpoint(database, f"ep-{number}", name=f"web-{number}")
        chain = Chain(f"ep-{number}")
        notice = link_pb2.Event(notice=link_pb2.Notice(code="spool-full", sentence="The outbox is full."))
        notice.at.FromDatetime(START + timedelta(minutes=number))
        chain.add(notice)
        ingest(database, [chain.push()])
    with database.read() as connection:
        shown = events.notices(connection, Filter(), PageRequest()).items
        one = events.notices(connection, Filter((Condition("endpoint", ("web-0",)),)), PageRequest()).items
    assert [(each.endpoint, each.code) for each in shown] == [("web-1", "spool-full"), ("web-0", "spool-full")]
    assert [(each.endpoint_id, each.at, each.sentence) for each in one] == [("ep-0", START, "The outbox is full.")]
