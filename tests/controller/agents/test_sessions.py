"""The registry of sessions: one per endpoint, broadcasts in slices, ends by age and silence, posts from threads."""

import asyncio
import random
import threading

import pytest

from homeostat.policy import Selector
from homeostat_controller.agents import sessions as registry
from homeostat_controller.agents.offers import Board, Offer
from homeostat_controller.agents.session import Session
from homeostat_controller.agents.sessions import Sessions
from homeostat_controller.config import Limits, Settings
from homeostat_controller.errors import Busy
from homeostat_controller.metrics import Metrics
from homeostat_controller.policies.assignment import Candidate
from homeostat_controller.store.approvals import Pending


class Ticks:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def open_sessions(ticks: Ticks) -> Sessions:
    settings = Settings(limits=Limits(sessions_max=3), heartbeat_s=30.0)
    return Sessions(settings, ticks, random.Random(1), Metrics())  # noqa: S311  # no secret is drawn here


def session(endpoint_id: str = "ep-1", at: float = 1000.0, age: float = 600.0) -> Session:
    return Session(endpoint_id, "default", {}, opened_at=at, age_max_s=age, last_heard=at)


def board(revision: int) -> Board:
    digest = revision.to_bytes(32, "big")
    candidate = Candidate("default", "web", revision, digest, Selector({}), 0)
    return Board((candidate,), {digest: Offer("web", revision, digest, b"")})


def test_a_newer_session_takes_the_place_of_the_older(open_sessions: Sessions) -> None:
    older, newer = session(), session()
    open_sessions.add(older)
    open_sessions.add(newer)
    assert (older.ended, open_sessions.find("ep-1"), open_sessions.count) == ("replaced", newer, 1)
    assert not open_sessions.remove(older)  # the endpoint is still connected
    assert open_sessions.find("ep-1") is newer
    assert open_sessions.remove(newer)
    assert open_sessions.count == 0


def test_one_too_many_is_told_when_to_come_back(open_sessions: Sessions) -> None:
    for number in range(3):
        open_sessions.admit()
        open_sessions.add(session(f"ep-{number}"))
    with pytest.raises(Busy) as busy:
        open_sessions.admit()
    assert 1.0 <= busy.value.retry_after_s <= registry.FULL_RETRY_S


def test_age_and_silence_end_a_session(open_sessions: Sessions, ticks: Ticks) -> None:
    young, old, silent = session("ep-1"), session("ep-2", age=10.0), session("ep-3")
    for one in (young, old, silent):
        open_sessions.add(one)
    ticks.now += 121.0
    young.last_heard = old.last_heard = ticks.now
    assert open_sessions.sweep() == []
    assert (young.ended, old.ended, silent.ended) == ("", "age", "silent")


def test_polled_sessions_that_nobody_polls_are_given_to_be_closed(open_sessions: Sessions, ticks: Ticks) -> None:
    polled = session()
    polled.polled = True
    open_sessions.add(polled)
    ticks.now += 500.0
    assert open_sessions.sweep() == [polled]


def test_draining_asks_everybody_to_come_back_spread_out(open_sessions: Sessions) -> None:
    all_of_them = [session(f"ep-{number}") for number in range(3)]
    for one in all_of_them:
        open_sessions.add(one)
    open_sessions.drain()
    waits = [one.outgoing.settings.retry_after.ToMilliseconds() for one in all_of_them if one.outgoing.settings]
    assert len(set(waits)) == 3
    assert all(0 <= wait <= 5000 for wait in waits)
    with pytest.raises(Busy):
        open_sessions.admit()


def test_without_a_loop_there_is_nobody_to_tell(open_sessions: Sessions) -> None:
    open_sessions.add(session())
    open_sessions.take_board(board(1))
    open_sessions.tell("ep-1", Pending((b"",)))
    open_sessions.cut("ep-1", "standing")
    assert open_sessions.board.candidates[0].revision == 1


def test_what_threads_post_happens_on_the_loop(ticks: Ticks) -> None:
    open_sessions = Sessions(Settings(), ticks, random.Random(1), Metrics())  # noqa: S311  # spread, not secrecy
    count = registry.BROADCAST_SLICE + 50
    all_of_them = [session(f"ep-{number}") for number in range(count)]

    def elsewhere() -> None:
        for revision in (1, 2):
            open_sessions.take_board(board(revision))
        open_sessions.tell("ep-1", Pending((b"",)))
        open_sessions.tell("ep-nobody", Pending((b"",)))
        open_sessions.cut("ep-2", "standing")

    async def run() -> None:
        open_sessions.bind(asyncio.get_running_loop())
        for one in all_of_them:
            open_sessions.add(one)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        async with asyncio.timeout(10):
            while not all(one.outgoing.offer and one.outgoing.offer.revision == 2 for one in all_of_them):  # noqa: ASYNC110  # nothing tells when it is done
                await asyncio.sleep(0.001)
        thread.join()

    asyncio.run(run())
    assert all_of_them[1].outgoing.grants == [b""]
    assert all_of_them[2].ended == "standing"
    open_sessions.post(lambda: None)  # the loop is closed: nothing happens
