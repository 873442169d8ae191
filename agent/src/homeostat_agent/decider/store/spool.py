"""The outbox that survives the loss of power: what happened here, until the controller has it for good.

Records are numbered from 1 without gaps, chained by hash, and leave only when acknowledged; no number is used twice.
Telemetry is a lane of its own that gives way first and is counted; outcomes may use a reserve that nothing else may.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

# The hash before an endpoint's first record.
GENESIS = bytes(32)
RECORD_BYTES_MAX = 256 << 10
# What SQLite adds to a body: its hash, number and page overhead, rounded up.
ROW_BYTES = 64
# Kept free of everything but outcomes: some thousand of them, and never more than a quarter of the spool.
OUTCOME_RESERVE_BYTES = 1 << 20
OUTCOME_RESERVE_SHARE_MAX = 0.25
TELEMETRY_SHARE_MAX = 0.25
# From here on the spool says that it is full, so that the decider only observes before anything has to be refused.
FULL_SHARE = 0.95


class SpoolFull(Exception):  # noqa: N818  # a state of the spool
    """There is no room for the record, and nothing else that may be dropped."""


class RecordTooLarge(Exception):  # noqa: N818  # a property of the record
    """One record is above RECORD_BYTES_MAX; it can be stored in no spool."""


class OutOfOrder(Exception):  # noqa: N818  # a property of the acknowledgement
    """An acknowledgement that goes backwards, or beyond what was ever appended."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: its number, its serialized Event, and the chain's hash after it."""

    sequence: int
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest records that are not acknowledged, and the chain's hash before them."""

    previous_hash: bytes
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class TelemetryEntry:
    """One serialized Telemetry, by the id that `forget_telemetry` takes."""

    id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class SpoolState:
    """The spool in numbers. `first` is the oldest record not acknowledged, `next` the one to come; bytes are all."""

    first: int
    next: int
    head_hash: bytes
    record_bytes: int
    telemetry_bytes: int
    telemetry_dropped: int
    full: bool
    anchored: bool

    @property
    def records(self) -> int:
        """How many records wait."""
        return self.next - self.first

    @property
    def bytes(self) -> int:
        """How much room both lanes take."""
        return self.record_bytes + self.telemetry_bytes


def next_hash(previous: bytes, sequence: int, body: bytes) -> bytes:
    """Return the chain's hash after a record."""
    return sha256(previous + sequence.to_bytes(8, "big") + body).digest()


class Spool:
    """The spool over an open store; every call belongs to the transaction of its caller."""

    def __init__(self, connection: sqlite3.Connection, bytes_max: int) -> None:
        self._connection = connection
        self._bytes_max = bytes_max
        reserve = min(OUTCOME_RESERVE_BYTES, int(bytes_max * OUTCOME_RESERVE_SHARE_MAX))
        self._ordinary_bytes_max = bytes_max - reserve

    def append(self, body: bytes, *, outcome: bool = False) -> int:
        """Add a record and return its number; it is on disk when the caller's transaction is.

        Raises RecordTooLarge, and SpoolFull when it does not fit even without any telemetry.
        """
        if len(body) > RECORD_BYTES_MAX:
            raise RecordTooLarge(f"a record of {len(body)} bytes is above {RECORD_BYTES_MAX}")
        state, needed = self.state(), len(body) + ROW_BYTES
        room = self._bytes_max if outcome else self._ordinary_bytes_max
        if state.record_bytes + needed > room:
            raise SpoolFull(f"{state.records} records of {state.record_bytes} bytes wait for the controller")
        self._drop_telemetry(state.bytes + needed - self._bytes_max)
        digest = next_hash(state.head_hash, state.next, body)
        self._connection.execute("INSERT INTO spool_record VALUES (?, ?, ?)", (state.next, body, digest))
        self._connection.execute(
            "UPDATE spool_chain SET next_sequence = next_sequence + 1, head_hash = ?, record_bytes = record_bytes + ?",
            (digest, needed),
        )
        return state.next

    def pending(self, limit: int, bytes_max: int) -> Batch:
        """Return up to `limit` of the oldest records, of up to `bytes_max` bytes in all but at least one."""
        (previous,) = self._connection.execute("SELECT previous_hash FROM spool_chain").fetchone()
        entries: list[Entry] = []
        size = 0
        for entry in self._entries(limit):
            size += len(entry.body) + ROW_BYTES
            if entries and size > bytes_max:
                break
            entries.append(entry)
        return Batch(previous, tuple(entries))

    def acknowledge(self, next_expected: int) -> int:
        """Forget all records below `next_expected`; return how many those were.

        Raises OutOfOrder when it lies below what was acknowledged before, or beyond the next record to come.
        """
        state = self.state()
        if next_expected < state.first:
            raise OutOfOrder(f"{next_expected} was expected; {state.first - 1} is acknowledged already")
        if next_expected > state.next:
            raise OutOfOrder(f"{next_expected} was expected; the last record is {state.next - 1}")
        if next_expected == state.first:
            return 0
        self._connection.execute(
            "UPDATE spool_chain SET first_sequence = ?, "
            "previous_hash = (SELECT hash FROM spool_record WHERE sequence = ?), record_bytes = record_bytes - "
            "(SELECT sum(length(body) + ?) FROM spool_record WHERE sequence < ?)",
            (next_expected, next_expected - 1, ROW_BYTES, next_expected),
        )
        self._connection.execute("DELETE FROM spool_record WHERE sequence < ?", (next_expected,))
        return next_expected - state.first

    def append_telemetry(self, body: bytes) -> None:
        """Add telemetry, in place of the oldest where there is no room; where there is none at all, count it only."""
        state, needed = self.state(), len(body) + ROW_BYTES
        room = min(int(self._bytes_max * TELEMETRY_SHARE_MAX), self._bytes_max - state.record_bytes)
        if needed > room:
            self._connection.execute("UPDATE spool_chain SET telemetry_dropped = telemetry_dropped + 1")
            return
        self._drop_telemetry(state.telemetry_bytes + needed - room)
        self._connection.execute("INSERT INTO spool_telemetry (body) VALUES (?)", (body,))
        self._connection.execute("UPDATE spool_chain SET telemetry_bytes = telemetry_bytes + ?", (needed,))

    def pending_telemetry(self, limit: int, bytes_max: int) -> tuple[TelemetryEntry, ...]:
        """Return up to `limit` of the oldest telemetry, of up to `bytes_max` bytes in all."""
        found: list[TelemetryEntry] = []
        for row in self._connection.execute("SELECT id, body FROM spool_telemetry ORDER BY id LIMIT ?", (limit,)):
            bytes_max -= len(row[1]) + ROW_BYTES
            if bytes_max < 0:
                break
            found.append(TelemetryEntry(*row))
        return tuple(found)

    def forget_telemetry(self, last_id: int) -> None:
        """Remove the telemetry up to and including an id: it was delivered."""
        self._remove_telemetry(last_id)

    def state(self) -> SpoolState:
        """Return the spool in numbers."""
        row = self._connection.execute(
            "SELECT first_sequence, next_sequence, head_hash, record_bytes, telemetry_bytes, telemetry_dropped, "
            "anchored FROM spool_chain"
        ).fetchone()
        first, following, head_hash, record_bytes, telemetry_bytes, telemetry_dropped, anchored = row
        full = record_bytes >= self._ordinary_bytes_max * FULL_SHARE
        return SpoolState(
            first, following, head_hash, record_bytes, telemetry_bytes, telemetry_dropped, full, bool(anchored)
        )

    def bind(self, endpoint_id: str) -> None:
        """Say whose records these are. For another endpoint than before, the numbering has to be anchored anew."""
        self._connection.execute(
            "UPDATE spool_chain SET endpoint_id = ?, anchored = 0 WHERE endpoint_id <> ?", (endpoint_id, endpoint_id)
        )

    def unanchor(self) -> None:
        """Say that the numbers no longer fit what the controller holds; they have to be anchored anew."""
        self._connection.execute("UPDATE spool_chain SET anchored = 0")

    def anchor(self, next_expected: int) -> int:
        """Start the numbering of what waits at `next_expected`, the number the controller awaits from this endpoint.

        For a new store, a new identity, or a store that is older than what the controller holds: keeping the numbers
        would make new records look like repeats. Where the numbers change, the chain begins anew and shows it.
        Returns how many records were numbered again.
        """
        state = self.state()
        self._connection.execute("UPDATE spool_chain SET anchored = 1")
        if next_expected == state.first:
            return 0
        self._renumber(state, next_expected)
        return state.records

    def first_break(self) -> int:
        """Return the number of the first waiting record whose hash does not follow from the one before; 0: none."""
        (previous,) = self._connection.execute("SELECT previous_hash FROM spool_chain").fetchone()
        for entry in self._entries(-1):
            if entry.hash != next_hash(previous, entry.sequence, entry.body):
                return entry.sequence
            previous = entry.hash
        return 0

    def _entries(self, limit: int) -> Iterator[Entry]:
        rows = self._connection.execute(
            "SELECT sequence, body, hash FROM spool_record ORDER BY sequence LIMIT ?", (limit,)
        )
        return (Entry(*row) for row in rows)

    def _renumber(self, state: SpoolState, first: int) -> None:
        # Negative first, so that the old and the new numbers never meet.
        self._connection.execute("UPDATE spool_record SET sequence = -sequence")
        digest = GENESIS
        for offset in range(state.records):
            old = -(state.first + offset)
            (body,) = self._connection.execute("SELECT body FROM spool_record WHERE sequence = ?", (old,)).fetchone()
            digest = next_hash(digest, first + offset, body)
            self._connection.execute(
                "UPDATE spool_record SET sequence = ?, hash = ? WHERE sequence = ?", (first + offset, digest, old)
            )
        self._connection.execute(
            "UPDATE spool_chain SET first_sequence = ?, next_sequence = ?, previous_hash = ?, head_hash = ?",
            (first, first + state.records, GENESIS, digest),
        )

    def _drop_telemetry(self, excess: int) -> None:
        """Drop the oldest telemetry until `excess` bytes are free, and count it."""
        if excess <= 0:
            return
        last_id = 0
        for last_id, size in self._connection.execute("SELECT id, length(body) FROM spool_telemetry ORDER BY id"):  # noqa: B007  # the last one reached is used below
            excess -= size + ROW_BYTES
            if excess <= 0:
                break
        dropped = self._remove_telemetry(last_id)
        self._connection.execute("UPDATE spool_chain SET telemetry_dropped = telemetry_dropped + ?", (dropped,))

    def _remove_telemetry(self, last_id: int) -> int:
        self._connection.execute(
            "UPDATE spool_chain SET telemetry_bytes = telemetry_bytes - "
            "(SELECT coalesce(sum(length(body) + ?), 0) FROM spool_telemetry WHERE id <= ?)",
            (ROW_BYTES, last_id),
        )
        return self._connection.execute("DELETE FROM spool_telemetry WHERE id <= ?", (last_id,)).rowcount
