"""The endpoints' event logs as they came, each a chain, and the notices that people should read in them.

Invariant: per endpoint the log has each number once, and `next_event` and `chain_head` name its end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from homeostat_controller.store.conditions import Fields, Filter, narrowed
from homeostat_controller.store.database import table
from homeostat_controller.store.paging import Order, Page, PageRequest, built, page
from homeostat_controller.store.tables import Endpoint, EventLog, Notice

_E = table(Endpoint)
_LOG = table(EventLog)
_NOTICES = table(Notice)
NOTICE_FIELDS = Fields(
    {"endpoint": _E.c.name, "endpoint_id": _E.c.id, "code": _NOTICES.c.code, "at": _NOTICES.c.at},
    ("endpoint", "code"),
    _NOTICES.c.endpoint_id,
    _E.c.organisation_id,
)


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Where an endpoint's log stands: the number of the next record, and the hash of the last one."""

    next_sequence: int
    head: bytes


@dataclass(frozen=True, slots=True)
class LogRow:
    """One record of one endpoint. `body` is a serialized Event."""

    endpoint_id: str
    sequence: int
    hash: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class NoticeView:
    """Something an endpoint wanted known."""

    endpoint_id: str
    endpoint: str
    sequence: int
    at: datetime
    code: str
    sentence: str


def ends(connection: Connection, endpoint_ids: Iterable[str]) -> dict[str, ChainEnd]:
    """Return where these endpoints' logs stand, and keep other writers off them until the transaction ends."""
    statement = select(_E.c.id, _E.c.next_event, _E.c.chain_head).where(_E.c.id.in_(sorted(set(endpoint_ids))))
    rows = connection.execute(statement.order_by(_E.c.id).with_for_update())
    return {row.id: ChainEnd(row.next_event, row.chain_head) for row in rows}


def hashes(connection: Connection, endpoint_id: str, sequences: Iterable[int]) -> dict[int, bytes]:
    """Return the stored hashes of some of an endpoint's records, by number."""
    statement = select(_LOG.c.sequence, _LOG.c.hash).where(
        _LOG.c.endpoint_id == endpoint_id, _LOG.c.sequence.in_(list(sequences))
    )
    return {row.sequence: row.hash for row in connection.execute(statement)}


def append(connection: Connection, rows: list[LogRow], moved: Mapping[str, ChainEnd], now: datetime) -> None:
    """Add records to the logs, and say where those logs now stand."""
    if rows:
        names = tuple(LogRow.__dataclass_fields__)
        values = [{**{name: getattr(row, name) for name in names}, "received_at": now} for row in rows]
        connection.execute(insert(_LOG), values)
    if moved:
        statement = update(_E).where(_E.c.id == bindparam("row"))
        ended = [
            {"row": endpoint_id, "next_event": end.next_sequence, "chain_head": end.head}
            for endpoint_id, end in sorted(moved.items())
        ]
        connection.execute(statement, ended)


def log(connection: Connection, endpoint_id: str, start: int, limit: int) -> tuple[LogRow, ...]:
    """Return an endpoint's records from number `start` on, at most `limit`."""
    statement = (
        select(*(_LOG.c[name] for name in LogRow.__dataclass_fields__))
        .where(_LOG.c.endpoint_id == endpoint_id, _LOG.c.sequence >= start)
        .order_by(_LOG.c.sequence)
        .limit(limit)
    )
    return tuple(map(built(LogRow), connection.execute(statement)))


def notices(connection: Connection, wanted: Filter, request: PageRequest) -> Page[NoticeView]:
    """Return notices, the newest first."""
    own = [_NOTICES.c[name] for name in NoticeView.__dataclass_fields__ if name in _NOTICES.c]
    statement = select(*own, _E.c.name.label("endpoint")).join_from(_NOTICES, _E, _NOTICES.c.endpoint_id == _E.c.id)
    order = Order((_NOTICES.c.at, _NOTICES.c.endpoint_id, _NOTICES.c.sequence), descending=True)
    return page(connection, narrowed(statement, wanted, NOTICE_FIELDS), order, request, built(NoticeView))
