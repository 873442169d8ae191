"""Exception packs and the answers on their way: who was asked what, who said what, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, insert, or_, select, update

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.errors import NotFound
from homeostat_controller.store.conditions import Fields, Filter, narrowed
from homeostat_controller.store.database import table
from homeostat_controller.store.paging import Order, Page, PageRequest, built, counted, page
from homeostat_controller.store.tables import (
    Endpoint,
    EndpointGroup,
    ExceptionPack,
    Grant,
    Incident,
    Outcome,
    Site,
)

# Answers that wait for one endpoint; a pack needs an incident and an open question, so more are no honest agent's.
PENDING_MAX = 64
_P = table(ExceptionPack)
_E = table(Endpoint)
_I = table(Incident)
_SITES = table(Site)
_GROUPS = table(EndpointGroup)
_GRANTS = table(Grant)
_OUTCOMES = table(Outcome)
FIELDS = Fields(
    {
        "endpoint": _E.c.name,
        "endpoint_id": _E.c.id,
        "playbook": _P.c.playbook,
        "status": _P.c.status,
        "risk": _P.c.risk,
        "created": _P.c.created_at,
        "incident": _P.c.incident_id,
        "site": _SITES.c.name,
        "group": _GROUPS.c.name,
    },
    ("endpoint", "playbook"),
    _P.c.endpoint_id,
    _E.c.organisation_id,
)


@dataclass(frozen=True, slots=True)
class PackView:
    """One line of the list. status: waiting, approved, denied, expired, void or used."""

    id: str
    endpoint_id: str
    endpoint: str
    incident_id: str
    fault: str
    subject: str
    playbook: str
    risk: str
    status: str
    created_at: datetime
    expires_at: datetime
    decided_by: str
    decided_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class PackDetail:
    """A pack with the wire's ExceptionPack, the answer's fate ("" while unknown) and the run that came of it ("")."""

    view: PackView
    message: incident_pb2.ExceptionPack
    grant_not_after: datetime | None
    receipt: str
    receipt_reason: str
    receipt_at: datetime | None
    run_id: str
    incident_open: bool
    endpoint_standing: str


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A signed grant to be delivered. `signed` is the serialized Signed."""

    pack_id: str
    endpoint_id: str
    approver: str
    not_after: datetime
    signed: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """A pack's new status with who decided and why."""

    status: str
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PendingDenial:
    """A no that the endpoint may not know of yet."""

    pack_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What an endpoint has to be told on its next session."""

    grants: tuple[bytes, ...] = ()
    denials: tuple[PendingDenial, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """What an endpoint says became of a grant: accepted, refused or expired."""

    endpoint_id: str
    pack_id: str
    result: str
    reason: str


def list_page(connection: Connection, wanted: Filter, request: PageRequest) -> Page[PackView]:
    """Return exception packs, the newest first."""
    order = Order((_P.c.created_at, _P.c.id), descending=True)
    return page(connection, narrowed(_view_select(), wanted, FIELDS), order, request, built(PackView))


def get(connection: Connection, pack_id: str) -> PackDetail:
    """Return one pack.

    Raises NotFound.
    """
    row = connection.execute(_view_select().where(_P.c.id == pack_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no exception pack {pack_id!r}")
    return _detail(built(PackView)(row), connection.execute(_rest_select().where(_P.c.id == pack_id)).one())


def lock(connection: Connection, pack_id: str) -> None:
    """Keep other answers to this pack out until the transaction ends."""
    connection.execute(select(_P.c.id).where(_P.c.id == pack_id).with_for_update())


def decide(connection: Connection, pack_id: str, verdict: Verdict, now: datetime) -> bool:
    """Give a waiting pack its answer; say whether it was still waiting."""
    values = {"status": verdict.status, "decided_by": verdict.by, "decided_at": now, "reason": verdict.reason}
    changed = connection.execute(update(_P).where(_P.c.id == pack_id, _P.c.status == "waiting").values(**values))
    return changed.rowcount == 1


def add_grant(connection: Connection, new: NewGrant, now: datetime) -> None:
    """Queue a grant for its endpoint."""
    values = {name: getattr(new, name) for name in NewGrant.__dataclass_fields__}
    connection.execute(insert(_GRANTS).values(**values, created_at=now, receipt="", receipt_reason=""))


def pending(connection: Connection, endpoint_id: str, now: datetime) -> Pending:
    """Return the answers an endpoint has not confirmed and that still count."""
    grants = select(_GRANTS.c.signed).where(
        _GRANTS.c.endpoint_id == endpoint_id, _GRANTS.c.receipt == "", _GRANTS.c.not_after > now
    )
    denials = select(_P.c.id.label("pack_id"), _P.c.decided_by.label("by"), _P.c.reason).where(
        _P.c.endpoint_id == endpoint_id, _P.c.status == "denied", _P.c.expires_at > now
    )
    signed = connection.execute(grants.order_by(_GRANTS.c.created_at).limit(PENDING_MAX)).scalars()
    refused = connection.execute(denials.order_by(_P.c.decided_at.desc()).limit(PENDING_MAX))
    return Pending(tuple(signed), tuple(PendingDenial(**row._asdict()) for row in refused))


def receive(connection: Connection, receipts: list[ReceiptRow], now: datetime) -> int:
    """Record receipts for grants that have none yet; return how many were new. Others' grants are left alone."""
    new = 0
    for one in receipts:
        mine = and_(_GRANTS.c.pack_id == one.pack_id, _GRANTS.c.endpoint_id == one.endpoint_id)
        values = {"receipt": one.result, "receipt_reason": one.reason, "receipt_at": now}
        if connection.execute(update(_GRANTS).where(mine, _GRANTS.c.receipt == "").values(**values)).rowcount == 0:
            continue
        new += 1
        status = {"accepted": "used", "expired": "expired"}.get(one.result, "void")
        changed = {"status": status} if status == "used" else {"status": status, "reason": one.reason}
        connection.execute(update(_P).where(_P.c.id == one.pack_id, _P.c.status == "approved").values(**changed))
    return new


def expire(connection: Connection, now: datetime) -> int:
    """End packs that nobody answered and grants that did not arrive in time; return how many."""
    unanswered = and_(_P.c.status == "waiting", _P.c.expires_at <= now)
    late = select(_GRANTS.c.pack_id).where(_GRANTS.c.receipt == "", _GRANTS.c.not_after <= now)
    undelivered = and_(_P.c.status == "approved", _P.c.id.in_(late))
    reason = case((_P.c.status == "waiting", "nobody answered in time"), else_="the endpoint was not reached in time")
    changed = connection.execute(update(_P).where(or_(unanswered, undelivered)).values(status="expired", reason=reason))
    return changed.rowcount


def counts(connection: Connection, organisation_id: str = "") -> dict[str, int]:
    """Return how many packs there are by status."""
    statement = select(_P.c.status).join_from(_P, _E, _P.c.endpoint_id == _E.c.id)
    if organisation_id:
        statement = statement.where(_E.c.organisation_id == organisation_id)
    return counted(connection, statement)


def _view_select() -> Select[Any]:
    subject = func.coalesce(_I.c.subject_kind + ":" + _I.c.subject_name, "")
    return (
        select(
            *(_P.c[name] for name in PackView.__dataclass_fields__ if name in _P.c),
            _E.c.name.label("endpoint"),
            func.coalesce(_I.c.fault, "").label("fault"),
            subject.label("subject"),
        )
        .join_from(_P, _E, _P.c.endpoint_id == _E.c.id)
        .join(_SITES, _E.c.site_id == _SITES.c.id)
        .join(_GROUPS, _E.c.group_id == _GROUPS.c.id)
        .outerjoin(_I, _I.c.id == _P.c.incident_id)
    )


def _rest_select() -> Select[Any]:
    run = select(_OUTCOMES.c.run_id).where(_OUTCOMES.c.pack_id == _P.c.id, _OUTCOMES.c.incident_id == _P.c.incident_id)
    return (
        select(
            _P.c.body,
            _GRANTS.c.not_after.label("grant_not_after"),
            func.coalesce(_GRANTS.c.receipt, "").label("receipt"),
            func.coalesce(_GRANTS.c.receipt_reason, "").label("receipt_reason"),
            _GRANTS.c.receipt_at,
            func.coalesce(run.limit(1).scalar_subquery(), "").label("run_id"),
            and_(_I.c.id.is_not(None), _I.c.closed_at.is_(None)).label("incident_open"),
            _E.c.standing.label("endpoint_standing"),
        )
        .join_from(_P, _E, _P.c.endpoint_id == _E.c.id)
        .outerjoin(_I, _I.c.id == _P.c.incident_id)
        .outerjoin(_GRANTS, _GRANTS.c.pack_id == _P.c.id)
    )


def _detail(view: PackView, row: Row[Any]) -> PackDetail:
    known = row._asdict()
    message = incident_pb2.ExceptionPack.FromString(known.pop("body"))
    return PackDetail(view=view, message=message, **known)
