"""The inbox: answers after the commit, keeps the good apart from the bad, refuses what is too much."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fixtures_controller import START, Chain, add_endpoint, closed, decided, opened, outcome, pack
from sqlalchemy import text

from fakes.moved_clock import MovedClock
from homeostat_controller.agents.inbox import Inbox, StoreFailed
from homeostat_controller.agents.ingest import ChainBroken
from homeostat_controller.errors import Busy
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import approvals, endpoints, events, incidents
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest
from homeostat_controller.store.session_states import Report, StateRow

ROWS_MAX = 2000


@pytest.fixture
def inbox(database: Database, clock: MovedClock) -> Iterator[Inbox]:
    opened_ = Inbox(database, clock, ROWS_MAX, Metrics())
    yield opened_
    opened_.close(10)


def story(endpoint_id: str, incidents_: int = 1) -> Chain:
    chain = Chain(endpoint_id)
    for number in range(incidents_):
        name = f"{endpoint_id}-{number}"
        for event in (opened(name), decided(name), outcome(f"run-{name}", name), closed(name)):
            chain.add(event)
    return chain


def test_an_answer_means_that_it_is_stored(database: Database, inbox: Inbox) -> None:
    add_endpoint(database)
    assert asyncio.run(inbox.push(story("ep-1").push())) == 5
    with database.read() as connection:
        assert incidents.get(connection, "ep-1-0").view.status == "healed"


def test_many_endpoints_at_once_become_few_transactions_and_lose_nothing(database: Database, inbox: Inbox) -> None:
    for number in range(30):
        add_endpoint(database, f"ep-{number}")

    async def everybody() -> list[int]:
        stories = [story(f"ep-{number}", 5) for number in range(30)]
        first = await asyncio.gather(*(inbox.push(one.push(1, 10)) for one in stories))
        assert first == [11] * 30
        # Again from the start: the answers were lost on the way.
        return await asyncio.gather(*(inbox.push(one.push()) for one in stories))

    assert asyncio.run(everybody()) == [21] * 30
    with database.read() as connection:
        assert incidents.list_page(connection, Filter(), PageRequest()).total == 150
        assert incidents.outcomes(connection, Filter(), PageRequest()).total == 150
    commits = inbox._metrics.registry.get_sample_value("homeostat_inbox_commit_seconds_count")
    assert commits is not None
    assert commits < 40


def test_a_broken_chain_is_its_sender_s_trouble_only(database: Database, inbox: Inbox) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    forged = story("ep-1").push()
    forged.records[2].hash = bytes(32)

    async def both() -> tuple[int | BaseException, int | BaseException]:
        return await asyncio.gather(inbox.push(forged), inbox.push(story("ep-2").push()), return_exceptions=True)

    bad, good = asyncio.run(both())
    assert isinstance(bad, ChainBroken)
    assert good == 5


def test_a_row_that_the_database_refuses_fails_alone(database: Database, inbox: Inbox) -> None:
    """Receipts are the one thing here that can be made to hold what PostgreSQL does not take."""
    add_endpoint(database)
    poison = approvals.ReceiptRow("ep-1", object(), "x", "")  # type: ignore[arg-type]  # no database takes it

    async def both() -> tuple[int | BaseException, int | BaseException]:
        return await asyncio.gather(inbox.receive([poison]), inbox.push(story("ep-1").push()), return_exceptions=True)

    bad, good = asyncio.run(both())
    assert isinstance(bad, StoreFailed)
    assert good == 5


def test_reports_and_receipts_go_the_same_way(database: Database, inbox: Inbox) -> None:
    add_endpoint(database)
    chain = Chain()
    for event in (opened(), pack()):
        chain.add(event)

    async def run() -> None:
        await inbox.push(chain.push())
        state = StateRow("healing", "", {"open_incidents": 1}, START)
        assert await inbox.report([Report("ep-1", START, connected=True, state=state)]) == 1
        assert await inbox.receive([approvals.ReceiptRow("ep-1", "pack-1", "accepted", "")]) == 0

    asyncio.run(run())
    with database.read() as connection:
        assert endpoints.get(connection, "ep-1").view.health == "healing"


def test_too_much_at_once_is_refused_and_told_when_to_come_back(database: Database, inbox: Inbox) -> None:
    add_endpoint(database)
    chain = Chain()
    for number in range(ROWS_MAX + 1):
        chain.add(str(number).encode())
    with pytest.raises(Busy) as busy:
        asyncio.run(inbox.push(chain.push()))
    assert busy.value.retry_after_s > 0
    assert asyncio.run(inbox.push(chain.push(1, ROWS_MAX))) == ROWS_MAX + 1  # the bound itself is allowed


def test_a_database_that_is_away_is_said_and_the_same_records_go_later(sqlite: Database, clock: MovedClock) -> None:
    add_endpoint(sqlite)
    inbox = Inbox(sqlite, clock, ROWS_MAX, Metrics())
    with sqlite.write() as connection:
        connection.execute(text("ALTER TABLE event_log RENAME TO elsewhere"))
    with pytest.raises(StoreFailed):
        asyncio.run(inbox.push(story("ep-1").push()))
    with sqlite.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO event_log"))
    assert asyncio.run(inbox.push(story("ep-1").push())) == 5
    inbox.close(10)


def test_closing_stores_what_waits(sqlite: Database, clock: MovedClock) -> None:
    add_endpoint(sqlite)
    inbox = Inbox(sqlite, clock, ROWS_MAX, Metrics())

    async def leave() -> None:
        push = asyncio.create_task(inbox.push(story("ep-1").push()))
        await asyncio.sleep(0)
        inbox.close(10)
        assert await push == 5

    asyncio.run(leave())
    with sqlite.read() as connection:
        assert len(events.log(connection, "ep-1", 1, 10)) == 4


def test_who_hangs_up_does_not_stop_the_others(database: Database, inbox: Inbox, clock: MovedClock) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")

    async def run() -> int:
        gone = asyncio.create_task(inbox.push(story("ep-1").push()))
        await asyncio.sleep(0)
        gone.cancel()
        return await inbox.push(story("ep-2").push())

    assert asyncio.run(run()) == 5
    clock.advance(timedelta(seconds=1))
    assert asyncio.run(inbox.push(story("ep-1").push())) == 5
