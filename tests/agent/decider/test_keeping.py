import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.decider_stage import NOW
from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider.effects import ConfirmOutcome, RecordNotice, SendReceipt
from homeostat_agent.decider.inbox import NotStored, Stored
from homeostat_agent.decider.keeping import BACKLOG_MAX, Keeping
from homeostat_agent.decider.store.recorder import Recorder

Told = queue.SimpleQueue[Stored | NotStored]


def notice(n: int) -> RecordNotice:
    return RecordNotice(f"n{n}", "N.", NOW)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "decider.db", 1 << 20, lambda: NOW)
    yield made
    made.stop()


def codes(recorder: Recorder) -> list[str]:
    batch = recorder.submit(lambda stores: stores.spool.pending(5000, 1 << 24)).result(30)
    return [link_pb2.Event.FromString(entry.body).notice.code for entry in batch.entries]


def test_a_step_is_confirmed_once_it_is_on_disk(recorder: Recorder) -> None:
    recorder.start()
    told: Told = queue.SimpleQueue()
    keeping = Keeping(recorder, told.put)
    keeping.keep((notice(1), ConfirmOutcome("r1"), SendReceipt("p", "accepted")))
    answer = told.get(timeout=30)
    assert isinstance(answer, Stored)
    assert answer.confirm == (ConfirmOutcome("r1"),)
    assert answer.spool.records == 1
    keeping.done(answer.number)
    assert codes(recorder) == ["n1"]


def test_a_confirmation_alone_comes_after_what_was_kept_before(recorder: Recorder) -> None:
    recorder.start()
    told: Told = queue.SimpleQueue()
    keeping = Keeping(recorder, told.put)
    keeping.keep((notice(1),))
    keeping.keep((ConfirmOutcome("r1"),))
    first, second = told.get(timeout=30), told.get(timeout=30)
    assert isinstance(first, Stored)
    assert isinstance(second, Stored)
    assert (first.confirm, second.confirm) == ((), (ConfirmOutcome("r1"),))


def test_nothing_to_keep_asks_nothing_of_the_disk(recorder: Recorder) -> None:
    told: Told = queue.SimpleQueue()
    Keeping(recorder, told.put).keep((SendReceipt("p", "accepted"),))
    assert told.empty()


def test_what_could_not_be_kept_is_kept_later_in_order(recorder: Recorder) -> None:
    told: Told = queue.SimpleQueue()
    keeping = Keeping(recorder, told.put)
    for n in range(3):
        keeping.keep((notice(n), ConfirmOutcome(f"r{n}")))
        if n == 0:
            answer = told.get(timeout=30)
            assert isinstance(answer, NotStored)
            keeping.failed(answer.number)
    assert keeping.waiting == 3
    recorder.start()
    keeping.retry()
    answers = [told.get(timeout=30) for _ in range(3)]
    assert [one.confirm[0].run_id for one in answers if isinstance(one, Stored)] == ["r0", "r1", "r2"]
    assert codes(recorder) == ["n0", "n1", "n2"]
    assert keeping.waiting == 0


def test_what_waits_is_bounded(recorder: Recorder) -> None:
    told: Told = queue.SimpleQueue()
    keeping = Keeping(recorder, told.put)
    keeping.keep((notice(0),))
    answer = told.get(timeout=30)
    keeping.failed(answer.number)
    for n in range(1, BACKLOG_MAX + 1):
        keeping.keep((notice(n),))
    assert keeping.waiting == BACKLOG_MAX


def test_a_failure_that_is_told_twice_changes_nothing(recorder: Recorder) -> None:
    keeping = Keeping(recorder, lambda _: None)
    keeping.keep((notice(0),))
    keeping.failed(1)
    keeping.failed(1)
    assert keeping.waiting == 1
