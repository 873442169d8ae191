import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider.store import recorder as recorder_module
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.recorder import SHARED_COMMIT_MAX, WAITING_MAX, Recorder, Stores, reading

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIB = 1 << 20
WAIT_S = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def recorder(path: Path) -> Iterator[Recorder]:
    started = Recorder(path, MIB, lambda: NOW)
    started.start()
    yield started
    started.stop()


def append(body: bytes) -> Callable[[Stores], int]:
    return lambda stores: stores.spool.append(body)


def set_value(key: str, value: bytes, stores: Stores) -> None:
    stores.state.set(key, value)


def read(path: Path, key: str) -> bytes | None:
    with reading(path, MIB) as stores:
        return stores.state.get(key)


def holding(recorder: Recorder) -> threading.Event:
    """Keep the recorder's thread inside a work until the event is set."""
    release, inside = threading.Event(), threading.Event()

    def wait(_: Stores) -> None:
        inside.set()
        release.wait(WAIT_S)

    recorder.submit(wait)
    assert inside.wait(WAIT_S)
    return release


def test_work_is_committed_when_its_future_is_done(recorder: Recorder, path: Path) -> None:
    recorder.submit(lambda s: s.state.set("k", b"1")).result(WAIT_S)
    assert read(path, "k") == b"1"


def test_work_returns_its_value_or_its_error(recorder: Recorder) -> None:
    assert recorder.submit(lambda s: s.spool.append(b"a")).result(WAIT_S) == 1
    with pytest.raises(ValueError, match="above"):
        recorder.submit(lambda s: s.state.set("k", bytes(2 * MIB))).result(WAIT_S)
    assert recorder.submit(lambda s: s.spool.append(b"b")).result(WAIT_S) == 2


def test_a_work_that_fails_takes_nothing_of_the_others_that_share_its_commit(recorder: Recorder) -> None:
    def fails(stores: Stores) -> None:
        stores.state.set("half", b"1")
        raise ZeroDivisionError

    release = holding(recorder)
    before = recorder.submit(lambda s: s.state.set("before", b"1"))
    failing = recorder.submit(fails)
    after = recorder.submit(lambda s: (s.state.get("before"), s.state.get("half")))
    release.set()
    before.result(WAIT_S)
    with pytest.raises(ZeroDivisionError):
        failing.result(WAIT_S)
    assert after.result(WAIT_S) == (b"1", None)


def test_works_are_done_in_the_order_they_were_handed_over(recorder: Recorder) -> None:
    release = holding(recorder)
    futures = [recorder.submit(append(b"%d" % n)) for n in range(SHARED_COMMIT_MAX * 3)]
    release.set()
    assert [one.result(WAIT_S) for one in futures] == list(range(1, SHARED_COMMIT_MAX * 3 + 1))


def test_a_cancelled_work_is_not_done(recorder: Recorder) -> None:
    release = holding(recorder)
    cancelled = recorder.submit(lambda s: s.state.set("k", b"1"))
    assert cancelled.cancel()
    release.set()
    assert recorder.submit(lambda s: s.state.get("k")).result(WAIT_S) is None


def test_stopping_does_what_waits_and_takes_nothing_more(recorder: Recorder, path: Path) -> None:
    release = holding(recorder)
    futures = [recorder.submit(lambda s: s.spool.append(b"x")) for _ in range(100)]
    threading.Timer(0.05, release.set).start()
    recorder.stop()
    recorder.stop()
    assert all(one.done() for one in futures)
    with pytest.raises(StoreError, match="stopped"):
        recorder.submit(lambda s: None)
    with reading(path, MIB) as stores:
        assert stores.spool.state().records == 100


def test_a_recorder_that_was_not_started_takes_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="stopped"):
        Recorder(path, MIB, lambda: NOW).submit(lambda s: None)


def test_when_too_many_works_wait_the_next_caller_gets_an_error(recorder: Recorder, path: Path) -> None:
    impatient = Recorder(path.with_name("other.db"), MIB, lambda: NOW, submit_wait_s=0.05)
    impatient.start()
    release = holding(impatient)
    waiting = [impatient.submit(lambda s: None) for _ in range(WAITING_MAX)]
    with pytest.raises(StoreError, match=f"{WAITING_MAX} works wait"):
        impatient.submit(lambda s: None)
    release.set()
    assert [one.result(WAIT_S) for one in waiting] == [None] * WAITING_MAX
    impatient.stop()


def test_a_file_that_cannot_be_reached_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Recorder(tmp_path / "store.db", MIB, lambda: NOW).start()


def notices(recorder: Recorder) -> list[link_pb2.Notice]:
    batch = recorder.submit(lambda s: s.spool.pending(100, MIB)).result(WAIT_S)
    events = [link_pb2.Event.FromString(one.body) for one in batch.entries]
    return [one.notice for one in events if one.HasField("notice")]


def test_a_store_found_damaged_at_the_start_is_replaced_with_a_notice(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)
    recorder = Recorder(path, MIB, lambda: NOW)
    recorder.start()
    (notice,) = notices(recorder)
    assert notice.code == "store-set-aside"
    assert "store.db.set-aside-20260301T" in notice.sentence
    recorder.stop()


def test_a_store_that_becomes_damaged_is_replaced_with_the_next_work(recorder: Recorder, path: Path) -> None:
    for n in range(300):
        recorder.submit(partial(set_value, f"k{n}", bytes(4000))).result(WAIT_S)
    other = sqlite3.connect(path)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    content = bytearray(path.read_bytes())
    content[4096 * 20 :] = b"\x55" * (len(content) - 4096 * 20)
    with path.open("r+b") as file:
        file.write(content)
    with pytest.raises(StoreError, match=r"malformed|not a database"):
        recorder.submit(lambda s: [s.state.get(f"k{n}") for n in range(300)]).result(WAIT_S)
    (notice,) = notices(recorder)
    assert notice.code == "store-set-aside"
    assert recorder.submit(lambda s: s.spool.append(b"goes on")).result(WAIT_S) == 2


def test_a_disk_that_is_full_fails_the_work_and_not_the_recorder(recorder: Recorder) -> None:
    def fill(stores: Stores) -> None:
        stores.spool._connection.execute("PRAGMA max_page_count = 40")
        for n in range(300):
            stores.state.set(f"k{n}", bytes(4000))

    sound = recorder.submit(lambda s: s.spool.append(b"a"))
    failing = recorder.submit(fill)
    with pytest.raises((StoreError, sqlite3.OperationalError), match="full"):
        failing.result(WAIT_S)
    assert sound.result(WAIT_S) == 1
    recorder.submit(lambda s: s.spool._connection.execute("PRAGMA max_page_count = 100000").fetchall()).result(WAIT_S)
    assert recorder.submit(lambda s: s.spool.append(b"b")).result(WAIT_S) == 2


def test_many_threads_may_submit(recorder: Recorder) -> None:
    futures: list[Future[int]] = []
    append = lambda s: s.spool.append(b"x")  # noqa: E731  # short enough to be read where it is used
    threads = [
        threading.Thread(target=lambda: futures.extend(recorder.submit(append) for _ in range(50))) for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(WAIT_S)
    assert sorted(one.result(WAIT_S) for one in futures) == list(range(1, 201))


def test_reading_what_is_damaged_is_a_store_error(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"), reading(path, MIB):
        pass


def test_the_bounds_are_as_documented() -> None:
    assert (recorder_module.WAITING_MAX, recorder_module.SHARED_COMMIT_MAX) == (1000, 64)
