"""Who did what to what, and when; only ever added to, each entry chained to the one before by its hash.

Invariant: `verify` finds any entry that was changed, removed from the middle or put in later.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from homeostat_controller.store.database import table
from homeostat_controller.store.paging import Order, Page, PageRequest, built, page
from homeostat_controller.store.tables import AuditEntry, Counter

VERIFY_ROWS_AT_ONCE = 1000
_ENTRIES = table(AuditEntry)
_COUNTERS = table(Counter)
COUNTER = "audit"
_START = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be recorded. `actor` is a person, token or program by name; `verb` is one word of the product's."""

    actor: str
    verb: str
    object_kind: str
    object_id: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    organisation_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditView:
    """One recorded act."""

    sequence: int
    at: datetime
    organisation_id: str
    actor: str
    verb: str
    object_kind: str
    object_id: str
    detail: Mapping[str, Any]
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Empty fields do not filter; `since` is inclusive, `until` is not."""

    actor: str = ""
    verb: str = ""
    object_kind: str = ""
    object_id: str = ""
    organisation_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries were checked, and what is wrong ("" when the chain is whole)."""

    entries: int
    problem: str = ""


def append(connection: Connection, act: Act, now: datetime) -> int:
    """Record an act within the transaction that does it; return its sequence number."""
    # The counter's row is the lock: whoever appends waits here for the one before, so the chain cannot fork.
    risen = update(_COUNTERS).where(_COUNTERS.c.name == COUNTER).values(value=_COUNTERS.c.value + 1)
    sequence = connection.execute(risen.returning(_COUNTERS.c.value)).scalar_one()
    values = {
        "sequence": sequence,
        "at": now,
        "organisation_id": act.organisation_id,
        "actor": act.actor,
        "verb": act.verb,
        "object_kind": act.object_kind,
        "object_id": act.object_id,
        "detail": dict(act.detail),
    }
    last = select(_ENTRIES.c.hash).where(_ENTRIES.c.sequence == sequence - 1)
    previous = connection.execute(last).scalar_one_or_none() or _START
    connection.execute(insert(_ENTRIES).values(**values, previous_hash=previous, hash=_digest(previous, values)))
    return int(sequence)


def list_page(connection: Connection, wanted: AuditFilter, request: PageRequest) -> Page[AuditView]:
    """Return acts, the newest first."""
    statement = select(*(_ENTRIES.c[name] for name in AuditView.__dataclass_fields__))
    for name in ("actor", "verb", "object_kind", "object_id", "organisation_id"):
        if value := getattr(wanted, name):
            statement = statement.where(_ENTRIES.c[name] == value)
    if wanted.since is not None:
        statement = statement.where(_ENTRIES.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(_ENTRIES.c.at < wanted.until)
    return page(connection, statement, Order((_ENTRIES.c.sequence,), descending=True), request, built(AuditView))


def verify(connection: Connection) -> Verification:
    """Recompute the whole chain, VERIFY_ROWS_AT_ONCE entries at a time."""
    expected, previous = 1, _START
    while True:
        rows = connection.execute(
            select(_ENTRIES)
            .where(_ENTRIES.c.sequence >= expected)
            .order_by(_ENTRIES.c.sequence)
            .limit(VERIFY_ROWS_AT_ONCE)
        ).all()
        for row in rows:
            if problem := _problem(row, expected, previous):
                return Verification(expected - 1, problem)
            expected, previous = expected + 1, row.hash
        if len(rows) < VERIFY_ROWS_AT_ONCE:
            return Verification(expected - 1, _end_problem(connection, expected - 1))


def _problem(row: Row[Any], expected: int, previous: bytes) -> str:
    if row.sequence != expected:
        return f"entry {expected} is missing"
    if row.previous_hash != previous:
        return f"entry {expected} does not follow from the one before it"
    if row.hash != _digest(previous, row._asdict()):
        return f"entry {expected} was changed"
    return ""


def _end_problem(connection: Connection, last: int) -> str:
    counted = connection.execute(select(_COUNTERS.c.value).where(_COUNTERS.c.name == COUNTER)).scalar_one()
    if counted == last:
        return ""
    missing = f"entries {last + 1} to {counted} are missing at the end"
    return missing if counted > last else "there are more entries than were ever counted"


def _digest(previous: bytes, values: Mapping[str, Any]) -> bytes:
    told = {
        **{name: values[name] for name in ("sequence", "organisation_id", "actor", "verb", "object_kind", "object_id")},
        "at": values["at"].isoformat(timespec="microseconds"),
        "detail": values["detail"],
    }
    body = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return hashlib.sha256(previous + body).digest()
