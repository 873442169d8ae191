import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat_agent.decider.store.database import open_database
from homeostat_agent.decider.store.spool import (
    GENESIS,
    OUTCOME_RESERVE_BYTES,
    RECORD_BYTES_MAX,
    ROW_BYTES,
    Batch,
    Entry,
    OutOfOrder,
    RecordTooLarge,
    Spool,
    SpoolFull,
    next_hash,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIB = 1 << 20
KILLS = 10
WRITER = Path(__file__).parents[3] / "fakes" / "spool_writer.py"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "store.db", NOW)
    yield opened.connection
    opened.connection.close()


@pytest.fixture
def spool(connection: sqlite3.Connection) -> Spool:
    return Spool(connection, 4 * MIB)


def bodies(spool: Spool) -> list[tuple[int, bytes]]:
    return [(one.sequence, one.body) for one in spool.pending(10_000, 64 * MIB).entries]


def test_records_are_numbered_from_one_and_chained(spool: Spool) -> None:
    assert [spool.append(body) for body in (b"a", b"b")] == [1, 2]
    batch = spool.pending(10, MIB)
    assert batch.previous_hash == GENESIS
    first, second = batch.entries
    assert first.hash == next_hash(GENESIS, 1, b"a")
    assert second.hash == next_hash(first.hash, 2, b"b")
    assert spool.first_break() == 0


def test_what_is_acknowledged_goes_and_the_chain_goes_on(spool: Spool) -> None:
    for body in (b"a", b"b", b"c"):
        spool.append(body)
    hashes = [one.hash for one in spool.pending(10, MIB).entries]
    assert spool.acknowledge(3) == 2
    batch = spool.pending(10, MIB)
    assert (batch.previous_hash, [one.sequence for one in batch.entries]) == (hashes[1], [3])
    assert spool.first_break() == 0


def test_no_number_is_used_twice_even_when_all_is_acknowledged(spool: Spool, connection: sqlite3.Connection) -> None:
    spool.append(b"a")
    spool.acknowledge(2)
    again = Spool(connection, 4 * MIB)
    assert again.append(b"b") == 2
    assert again.pending(1, MIB).entries[0].hash == next_hash(next_hash(GENESIS, 1, b"a"), 2, b"b")


@pytest.mark.parametrize("next_expected", [0, 1, 4, -1, 2**40])
def test_an_acknowledgement_out_of_order_is_refused(spool: Spool, next_expected: int) -> None:
    spool.append(b"a")
    spool.append(b"b")
    spool.acknowledge(2)
    with pytest.raises(OutOfOrder):
        spool.acknowledge(next_expected)
    assert bodies(spool) == [(2, b"b")]
    assert spool.acknowledge(2) == 0


def test_pending_is_bounded_by_number_and_bytes_but_never_empty(spool: Spool) -> None:
    for _ in range(5):
        spool.append(bytes(1000))
    assert len(spool.pending(3, MIB).entries) == 3
    assert len(spool.pending(10, 2 * (1000 + ROW_BYTES)).entries) == 2
    assert len(spool.pending(10, 1).entries) == 1


def test_a_record_at_the_limit_fits_and_one_above_it_does_not(spool: Spool) -> None:
    spool.append(bytes(RECORD_BYTES_MAX))
    with pytest.raises(RecordTooLarge):
        spool.append(bytes(RECORD_BYTES_MAX + 1), outcome=True)
    assert spool.state().records == 1


def fill(spool: Spool, size: int = 64 << 10, *, outcome: bool = False) -> int:
    count = 0
    while True:
        try:
            spool.append(bytes(size), outcome=outcome)
        except SpoolFull:
            return count
        count += 1


def test_when_records_fill_it_only_outcomes_still_fit_and_never_beyond_the_bound(spool: Spool) -> None:
    assert not spool.state().full
    fill(spool)
    assert spool.state().full
    assert spool.state().record_bytes <= 4 * MIB - OUTCOME_RESERVE_BYTES
    assert fill(spool, outcome=True) > 0
    assert spool.state().record_bytes <= 4 * MIB
    spool.acknowledge(spool.state().next)
    assert not spool.state().full
    assert spool.state().record_bytes == 0


def test_a_small_spool_still_has_a_reserve(connection: sqlite3.Connection) -> None:
    spool = Spool(connection, 10_000)
    fill(spool, 1000)
    assert spool.state().record_bytes <= 7500
    assert fill(spool, 1000, outcome=True) == 2


def test_telemetry_gives_way_to_records_oldest_first_and_is_counted(connection: sqlite3.Connection) -> None:
    spool = Spool(connection, 100_000)
    for n in range(20):
        spool.append_telemetry(bytes([n]) * 1000)
    assert spool.state().telemetry_dropped == 0
    for _ in range(90):
        spool.append(bytes(1000), outcome=True)
    state = spool.state()
    assert state.bytes <= 100_000
    left = spool.pending_telemetry(100, MIB)
    assert state.telemetry_dropped == 20 - len(left) > 0
    assert [one.body[0] for one in left] == list(range(20 - len(left), 20))


def test_telemetry_has_a_bound_of_its_own(connection: sqlite3.Connection) -> None:
    spool = Spool(connection, 100_000)
    for n in range(100):
        spool.append_telemetry(bytes([n]) * 1000)
    assert spool.state().telemetry_bytes <= 25_000
    assert [one.body[0] for one in spool.pending_telemetry(100, MIB)][-1] == 99
    spool.append_telemetry(bytes(30_000))
    dropped = spool.state().telemetry_dropped
    assert dropped == 100 - len(spool.pending_telemetry(100, MIB)) + 1


def test_telemetry_never_takes_the_room_of_records(connection: sqlite3.Connection) -> None:
    spool = Spool(connection, 10_000)
    fill(spool, 1000)
    fill(spool, 1000, outcome=True)
    spool.append_telemetry(bytes(1000))
    assert spool.pending_telemetry(10, MIB) == ()
    assert spool.state().telemetry_dropped == 1


def test_delivered_telemetry_is_forgotten_and_later_telemetry_is_not(spool: Spool) -> None:
    for body in (b"a", b"b", b"c"):
        spool.append_telemetry(body)
    first = spool.pending_telemetry(2, MIB)
    assert [one.body for one in first] == [b"a", b"b"]
    assert len(spool.pending_telemetry(10, ROW_BYTES + 1)) == 1
    spool.forget_telemetry(first[-1].id)
    spool.forget_telemetry(first[-1].id)
    last = spool.pending_telemetry(10, MIB)
    assert [one.body for one in last] == [b"c"]
    spool.forget_telemetry(last[-1].id)
    spool.append_telemetry(b"d")
    spool.forget_telemetry(last[-1].id)
    assert [one.body for one in spool.pending_telemetry(10, MIB)] == [b"d"]
    assert spool.state().telemetry_dropped == 0


def test_another_identity_or_a_new_store_is_anchored_where_the_controller_is(spool: Spool) -> None:
    spool.append(b"a")
    spool.append(b"b")
    spool.bind("endpoint-1")
    assert not spool.state().anchored
    assert spool.anchor(1) == 0
    spool.bind("endpoint-1")
    assert spool.state().anchored
    spool.acknowledge(2)
    spool.bind("endpoint-2")
    assert not spool.state().anchored
    assert spool.anchor(1) == 1
    assert bodies(spool) == [(1, b"b")]
    assert spool.pending(1, MIB).previous_hash == GENESIS
    assert spool.first_break() == 0


@pytest.mark.parametrize("start", [1, 2, 4, 5, 7, 500])
def test_numbering_again_keeps_every_record_in_order(spool: Spool, start: int) -> None:
    for n in range(7):
        spool.append(b"%d" % n)
    spool.acknowledge(4)
    spool.anchor(start)
    assert bodies(spool) == [(start + n, b"%d" % (n + 3)) for n in range(4)]
    assert spool.first_break() == 0
    assert spool.append(b"next") == start + 4
    assert spool.first_break() == 0
    spool.acknowledge(start + 5)
    assert spool.state().record_bytes == 0


def test_a_changed_record_is_found(spool: Spool, connection: sqlite3.Connection) -> None:
    for n in range(5):
        spool.append(b"%d" % n)
    connection.execute("UPDATE spool_record SET body = x'00' WHERE sequence = 3")
    assert spool.first_break() == 3


# Any crash point: the files are copied while a transaction runs, the log's tail that no commit covers is torn, and the
# copy is opened as after a crash. It must hold what was before that transaction or what is after it, and nothing else.


@dataclass
class Model:
    first: int = 1
    records: list[bytes] = field(default_factory=list)

    def copy(self) -> "Model":
        return Model(self.first, list(self.records))

    @property
    def next(self) -> int:
        return self.first + len(self.records)

    @property
    def expected(self) -> list[tuple[int, bytes]]:
        return [(self.first + n, body) for n, body in enumerate(self.records)]


def apply(spool: Spool, model: Model, step: tuple[str, int]) -> None:
    kind, n = step
    if kind == "append":
        body = b"%d" % n * (n % 50 + 1)
        assert spool.append(body, outcome=n % 3 == 0) == model.first + len(model.records)
        model.records.append(body)
    elif kind == "acknowledge":
        count = n % (len(model.records) + 1)
        assert spool.acknowledge(model.first + count) == count
        model.first, model.records = model.first + count, model.records[count:]
    elif kind == "anchor":
        spool.anchor(n + 1)
        model.first = n + 1
    else:
        spool.append_telemetry(bytes(n))


def crashed_copy(path: Path, into: Path, synced: int, tail: int) -> Path:
    into.mkdir()
    for one in (path, path.with_name(path.name + "-wal")):
        shutil.copy(one, into / one.name)
    with (into / (path.name + "-wal")).open("r+b") as log:
        size = log.seek(0, 2)
        log.truncate(synced + tail % (size - synced + 1))  # a tail of 0: nothing that was not committed reached it
    return into / path.name


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "acknowledge", "telemetry", "anchor"]), st.integers(0, 500)
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=12, deadline=None)
@given(steps=STEPS, tails=st.randoms(use_true_random=False))
def test_nothing_is_lost_or_reordered_at_any_crash_point(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], tails: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    path = folder / "store.db"
    connection = open_database(path, NOW).connection
    log = path.with_name("store.db-wal")
    spool, model = Spool(connection, MIB), Model()
    synced = log.stat().st_size
    copies: list[Path] = []

    def seen(_: str) -> None:
        tail = tails.choice([0, tails.randrange(1 << 20)])
        copies.append(crashed_copy(path, folder / str(len(copies)), synced, tail))

    connection.set_trace_callback(seen)
    for step in steps:
        before, taken = model.copy(), len(copies)
        connection.execute("BEGIN IMMEDIATE")
        apply(spool, model, step)
        connection.execute("COMMIT")
        synced = log.stat().st_size
        assert len(copies) > taken + 2
        for copy in copies[taken:]:
            assert_one_of(copy, before, model)
    connection.close()
    shutil.rmtree(folder)


def assert_one_of(path: Path, before: Model, after: Model) -> None:
    reopened = open_database(path, NOW)
    assert reopened.set_aside is None
    spool = Spool(reopened.connection, MIB)
    assert (spool.state().next, bodies(spool)) in [(m.next, m.expected) for m in (before, after)]
    assert spool.first_break() == 0
    reopened.connection.close()


# Any delivery: requests and answers get lost or come late; the controller stores each record once, in order.

EVENTS = st.lists(st.sampled_from(["append", "deliver", "lost-request", "lost-answer", "late-repeat"]), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, limit=st.integers(1, 4))
def test_every_record_arrives_once_and_in_order_whatever_gets_lost(
    tmp_path: Path, events: list[str], limit: int
) -> None:
    connection = open_database(tmp_path / "delivery.db", NOW).connection
    connection.execute("BEGIN")
    spool, appended = Spool(connection, MIB), 0
    stored: list[Entry] = []

    def receive(batch: Batch) -> int:
        stored.extend(one for one in batch.entries if one.sequence == len(stored) + 1)
        return len(stored) + 1

    last = spool.pending(0, 0)
    for event in [*events, *(["deliver"] * 30)]:
        if event == "append":
            appended += 1
            spool.append(b"%d" % appended)
            continue
        batch = last if event == "late-repeat" else spool.pending(limit, MIB)
        if event != "lost-request" and batch.entries:
            answer = receive(batch)
            if event != "lost-answer":
                spool.acknowledge(answer)
        last = batch
    assert [one.body for one in stored] == [b"%d" % (n + 1) for n in range(appended)]
    assert [one.hash for one in stored] == [
        next_hash(previous, one.sequence, one.body)
        for previous, one in zip([GENESIS, *(one.hash for one in stored)], stored, strict=False)
    ]
    assert spool.state().records == 0
    connection.execute("ROLLBACK")
    connection.close()


def run_writer_until_killed(path: Path, first: int, lines: int) -> list[tuple[int, int, int]]:
    argv = [sys.executable, str(WRITER), str(path), str(first)]
    acknowledged: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            acknowledged.append(line)
            if len(acknowledged) == lines:
                writer.kill()
        writer.wait()
    whole = [line for line in acknowledged if line.endswith("\n")]
    return [(int(number), int(n), int(half)) for number, n, half in (line.split() for line in whole)]


def test_every_acknowledged_append_survives_kill(tmp_path: Path) -> None:
    path, seed = tmp_path / "store.db", random.Random(7)  # noqa: S311  # a seed, so that a failure comes again
    acknowledged: list[tuple[int, int, int]] = []
    for kill in range(KILLS):
        acknowledged += run_writer_until_killed(path, kill * 100_000, seed.randrange(1, 120))
    connection = open_database(path, NOW).connection
    spool = Spool(connection, 64 * MIB)
    found = dict(bodies(spool))
    assert all(found[number] == b"%d/%d" % (n, half) for number, n, half in acknowledged)
    assert list(found) == list(range(1, len(found) + 1))
    assert spool.first_break() == 0
    connection.close()
