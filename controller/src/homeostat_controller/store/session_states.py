"""What agents report about themselves, written in batches: the latest value counts, and nothing waits for it.

Invariant: a report changes only the row of the endpoint whose certificate it came with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from homeostat_controller.errors import NotFound
from homeostat_controller.store import endpoint_changes
from homeostat_controller.store.database import insert, table
from homeostat_controller.store.tables import (
    Endpoint,
    EndpointGroup,
    EndpointPolicy,
    Organisation,
    Site,
    TelemetryLatest,
)

_E = table(Endpoint)
_POLICIES = table(EndpointPolicy)
_TELEMETRY = table(TelemetryLatest)
_ORGANISATIONS = table(Organisation)
_SITES = table(Site)
_GROUPS = table(EndpointGroup)


@dataclass(frozen=True, slots=True)
class Admission:
    """What is asked once when a session opens."""

    endpoint_id: str
    name: str
    organisation_id: str
    standing: str
    standing_reason: str
    organisation: str
    site: str
    group: str
    labels: Mapping[str, str]
    session_shown: int
    next_event: int
    active_sha256: bytes
    rejected_sha256: bytes


@dataclass(frozen=True, slots=True)
class HelloRow:
    """What an agent says of itself when it connects. `facts` is the wire's EndpointFacts as JSON.

    `labels` is None where they are as stored.
    """

    agent_version: str
    semantics: int
    feature_set: int
    model: str
    boot_id: str
    facts: Mapping[str, Any]
    labels: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class StateRow:
    """How an endpoint is. `state` is the wire's EndpointState as JSON."""

    health: str
    detail: str
    state: Mapping[str, Any]
    state_at: datetime


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What an endpoint says of its policies; empty values for none."""

    offered_name: str
    offered_revision: int
    offered_sha256: bytes
    active_name: str
    active_revision: int
    active_sha256: bytes
    last_good_name: str
    last_good_revision: int
    last_good_sha256: bytes
    rejected_name: str
    rejected_revision: int
    rejected_sha256: bytes
    rejected_reason: str
    rejected_at: datetime | None


@dataclass(frozen=True, slots=True)
class TelemetryRow:
    """The newest telemetry, and how much the agent had to drop since its start."""

    at: datetime
    values: Mapping[str, float]
    dropped: int


@dataclass(frozen=True, slots=True)
class Report:
    """The latest of everything one endpoint reported since the last batch; None where there was nothing."""

    endpoint_id: str
    seen_at: datetime
    connected: bool | None = None
    session_shown: int = 0
    hello: HelloRow | None = None
    state: StateRow | None = None
    policy: PolicyRow | None = None
    telemetry: TelemetryRow | None = None


def admission(connection: Connection, endpoint_id: str) -> Admission:
    """Return what a session has to know of its endpoint.

    Raises NotFound.
    """
    own = [_E.c[name] for name in Admission.__dataclass_fields__ if name in _E.c]
    statement = (
        select(
            _E.c.id.label("endpoint_id"),
            *own,
            _ORGANISATIONS.c.name.label("organisation"),
            _SITES.c.name.label("site"),
            _GROUPS.c.name.label("group"),
            _POLICIES.c.active_sha256,
            _POLICIES.c.rejected_sha256,
        )
        .join_from(_E, _ORGANISATIONS, _E.c.organisation_id == _ORGANISATIONS.c.id)
        .join(_SITES, _E.c.site_id == _SITES.c.id)
        .join(_GROUPS, _E.c.group_id == _GROUPS.c.id)
        .outerjoin(_POLICIES, _POLICIES.c.endpoint_id == _E.c.id)
        .where(_E.c.id == endpoint_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("this endpoint is not known here; enrol it again")
    known = row._asdict()
    for name in ("active_sha256", "rejected_sha256"):
        known[name] = known[name] or b""
    return Admission(**known)


def barred(connection: Connection) -> frozenset[str]:
    """Return the ids of all endpoints that are frozen or revoked."""
    return frozenset(connection.execute(select(_E.c.id).where(_E.c.standing != "active")).scalars())


def disconnect_all(connection: Connection) -> None:
    """Mark every endpoint as not connected: what is right when no session can be open."""
    connection.execute(update(_E).where(_E.c.connected).values(connected=False))


def write(connection: Connection, reports: Iterable[Report]) -> None:
    """Write a batch of reports, each kind in one statement."""
    batch = list(reports)
    _update(connection, [_seen(one) for one in batch])
    _update(connection, [{"row": one.endpoint_id, **_plain(one.state)} for one in batch if one.state])
    _update(connection, [{"row": one.endpoint_id, **_plain(one.hello, "labels")} for one in batch if one.hello])
    for one in batch:
        if one.hello and one.hello.labels is not None:
            endpoint_changes.set_labels(connection, one.endpoint_id, one.hello.labels)
    _upsert(connection, _POLICIES, {one.endpoint_id: _plain(one.policy) for one in batch if one.policy})
    _upsert(connection, _TELEMETRY, {one.endpoint_id: _plain(one.telemetry) for one in batch if one.telemetry})


def _seen(report: Report) -> dict[str, Any]:
    values: dict[str, Any] = {"row": report.endpoint_id, "last_seen_at": report.seen_at}
    if report.connected is not None:
        values["connected"] = report.connected
    if report.session_shown:
        values["session_shown"] = report.session_shown
    return values


def _plain(row: Any, *without: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__ if name not in without}


def _update(connection: Connection, rows: list[dict[str, Any]]) -> None:
    # One statement for each set of columns; executemany wants them equal.
    for shape in {tuple(row) for row in rows}:
        alike = [row for row in rows if tuple(row) == shape]
        connection.execute(update(_E).where(_E.c.id == bindparam("row")), alike)


def _upsert(connection: Connection, into: Any, rows: dict[str, dict[str, Any]]) -> None:
    if not rows:
        return
    statement = insert(connection, into)
    columns = next(iter(rows.values()))
    replaced = {name: statement.excluded[name] for name in columns}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["endpoint_id"], set_=replaced),
        [{"endpoint_id": endpoint_id, **row} for endpoint_id, row in rows.items()],
    )
