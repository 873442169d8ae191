"""The endpoints: who they are, how they are, and which policy they say they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, or_, select

from homeostat_controller.errors import Conflict, NotFound
from homeostat_controller.store.conditions import Fields, Filter, narrowed
from homeostat_controller.store.database import table
from homeostat_controller.store.paging import Order, Page, PageRequest, built, counted, page
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
_GROUPS = table(EndpointGroup)
_SITES = table(Site)
_ORGANISATIONS = table(Organisation)
_OS = func.coalesce(_E.c.facts["os"].as_string(), "")
_OPEN = func.coalesce(_E.c.state["open_incidents"].as_integer(), 0)
_STATUS = case((_E.c.connected, _E.c.health), else_="offline")
_ACTIVE = func.coalesce(_POLICIES.c.active_name, "")
FIELDS = Fields(
    {
        "name": _E.c.name,
        "status": _STATUS,
        "standing": _E.c.standing,
        "organisation": _ORGANISATIONS.c.name,
        "site": _SITES.c.name,
        "group": _GROUPS.c.name,
        "os": _OS,
        "agent": _E.c.agent_version,
        "policy": _ACTIVE,
        "last_seen": _E.c.last_seen_at,
        "open_incidents": _OPEN,
    },
    ("name", "site", "group", "os"),
    _E.c.id,
    _E.c.organisation_id,
)


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One line of the fleet.

    `health` is what the agent says ("unknown" before that), `status` the same or "offline"; `standing` is active,
    frozen or revoked.
    """

    id: str
    name: str
    organisation_id: str
    organisation: str
    site_id: str
    site: str
    group_id: str
    group: str
    labels: Mapping[str, str]
    os: str
    standing: str
    standing_reason: str
    status: str
    health: str
    detail: str
    connected: bool
    last_seen_at: datetime | None
    enrolled_at: datetime
    agent_version: str
    semantics: int
    open_incidents: int
    active_name: str
    active_revision: int
    rejected_name: str
    rejected_revision: int
    rejected_reason: str
    active_sha256: bytes


@dataclass(frozen=True, slots=True)
class PolicyStatusView:
    """What the endpoint was offered, runs, would go back to and refused; names are empty and revisions 0 for none."""

    offered_name: str = ""
    offered_revision: int = 0
    offered_sha256: bytes = b""
    active_name: str = ""
    active_revision: int = 0
    active_sha256: bytes = b""
    last_good_name: str = ""
    last_good_revision: int = 0
    last_good_sha256: bytes = b""
    rejected_name: str = ""
    rejected_revision: int = 0
    rejected_sha256: bytes = b""
    rejected_reason: str = ""
    rejected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndpointDetail:
    """Everything about one endpoint. `facts` and `state` are the wire's EndpointFacts and EndpointState as JSON."""

    view: EndpointView
    policy: PolicyStatusView
    facts: Mapping[str, Any]
    state: Mapping[str, Any]
    state_at: datetime | None
    feature_set: int
    model: str
    boot_id: str
    public_key: str
    certificate_serial: str
    certificate_not_after: datetime
    next_event: int
    telemetry: Mapping[str, float] = field(default_factory=dict)
    telemetry_at: datetime | None = None
    telemetry_dropped: int = 0


def list_page(connection: Connection, wanted: Filter, request: PageRequest) -> Page[EndpointView]:
    """Return endpoints by name."""
    statement = narrowed(_view_select(), wanted, FIELDS)
    return page(connection, statement, Order((_E.c.name, _E.c.id)), request, built(EndpointView))


def get(connection: Connection, name: str) -> EndpointDetail:
    """Return the endpoint with this id, or with this name if only one has it.

    Raises NotFound, or Conflict for a name that several share.
    """
    endpoint_id = find(connection, name)
    row = connection.execute(_view_select().where(_E.c.id == endpoint_id)).one()
    rest = connection.execute(_detail_select().where(_E.c.id == endpoint_id)).one()
    return _detail(built(EndpointView)(row), rest)


def find(connection: Connection, name: str) -> str:
    """Return the id of the endpoint with this id, or with this name if only one has it.

    Raises NotFound, or Conflict for a name that several share.
    """
    statement = (
        select(_E.c.id).where(or_(_E.c.id == name, _E.c.name == name)).order_by(_E.c.enrolled_at.desc()).limit(9)
    )
    found = list(connection.execute(statement).scalars())
    if name in found:
        return name
    if not found:
        raise NotFound(f"there is no endpoint {name!r}")
    if len(found) > 1:
        raise Conflict(f"{len(found)} endpoints are named {name!r}; use an id: {', '.join(found)}")
    return str(found[0])


def by_public_key(connection: Connection, public_key: str) -> EndpointView | None:
    """Return the endpoint that enrolled with this key, if there is one."""
    row = connection.execute(_view_select().where(_E.c.public_key == public_key)).one_or_none()
    return None if row is None else built(EndpointView)(row)


def counts(connection: Connection, organisation_id: str = "") -> Mapping[str, int]:
    """Return how many active endpoints there are by status, and "total" beside it."""
    statement = select(_STATUS.label("status")).where(_E.c.standing == "active")
    if organisation_id:
        statement = statement.where(_E.c.organisation_id == organisation_id)
    found = counted(connection, statement)
    return {**found, "total": sum(found.values())}


def _view_select() -> Select[Any]:
    return (
        select(
            *(_E.c[one.name] for one in fields(EndpointView) if one.name in _E.c),
            _ORGANISATIONS.c.name.label("organisation"),
            _SITES.c.name.label("site"),
            _GROUPS.c.name.label("group"),
            _OS.label("os"),
            _STATUS.label("status"),
            _OPEN.label("open_incidents"),
            _ACTIVE.label("active_name"),
            func.coalesce(_POLICIES.c.active_revision, 0).label("active_revision"),
            func.coalesce(_POLICIES.c.active_sha256, b"").label("active_sha256"),
            func.coalesce(_POLICIES.c.rejected_name, "").label("rejected_name"),
            func.coalesce(_POLICIES.c.rejected_revision, 0).label("rejected_revision"),
            func.coalesce(_POLICIES.c.rejected_reason, "").label("rejected_reason"),
        )
        .join_from(_E, _ORGANISATIONS, _E.c.organisation_id == _ORGANISATIONS.c.id)
        .join(_SITES, _E.c.site_id == _SITES.c.id)
        .join(_GROUPS, _E.c.group_id == _GROUPS.c.id)
        .outerjoin(_POLICIES, _POLICIES.c.endpoint_id == _E.c.id)
    )


def _detail_select() -> Select[Any]:
    status = [_POLICIES.c[one.name] for one in fields(PolicyStatusView)]
    telemetry = (
        _TELEMETRY.c["values"].label("telemetry"),
        _TELEMETRY.c.at.label("telemetry_at"),
        func.coalesce(_TELEMETRY.c.dropped, 0).label("telemetry_dropped"),
    )
    return (
        select(*(_E.c[one.name] for one in fields(EndpointDetail) if one.name in _E.c), *telemetry, *status)
        .outerjoin_from(_E, _POLICIES, _POLICIES.c.endpoint_id == _E.c.id)
        .outerjoin(_TELEMETRY, _TELEMETRY.c.endpoint_id == _E.c.id)
    )


def _detail(view: EndpointView, row: Row[Any]) -> EndpointDetail:
    known = row._asdict()
    status = {one.name: known.pop(one.name) for one in fields(PolicyStatusView)}
    said = PolicyStatusView(**status) if status["offered_name"] is not None else PolicyStatusView()
    known["telemetry"] = known["telemetry"] or {}
    return EndpointDetail(view=view, policy=said, **known)
