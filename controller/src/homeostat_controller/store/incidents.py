"""Incidents, what was decided about them and how the repairs ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, exists, select

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.errors import NotFound
from homeostat_controller.store.conditions import Fields, Filter, narrowed
from homeostat_controller.store.database import table
from homeostat_controller.store.paging import Order, Page, PageRequest, built, counted, page
from homeostat_controller.store.tables import (
    Decision,
    Endpoint,
    EndpointGroup,
    ExceptionPack,
    Incident,
    Outcome,
    Site,
)

# Far above what the repeats and error budgets allow for one incident; a hostile agent must not fill an answer.
TIMELINE_MAX = 200
_I = table(Incident)
_E = table(Endpoint)
_SITES = table(Site)
_GROUPS = table(EndpointGroup)
_DECISIONS = table(Decision)
_OUTCOMES = table(Outcome)
_PACKS = table(ExceptionPack)
_WAITING = exists().where(and_(_PACKS.c.incident_id == _I.c.id, _PACKS.c.status == "waiting"))
_STATUS = case(
    (and_(_I.c.closed_at.is_not(None), _I.c.ending != ""), _I.c.ending),
    (_I.c.closed_at.is_not(None), "closed"),
    (_WAITING, "waiting"),
    else_="open",
)
_SUBJECT = _I.c.subject_kind + ":" + _I.c.subject_name
FIELDS = Fields(
    {
        "endpoint": _E.c.name,
        "endpoint_id": _E.c.id,
        "fault": _I.c.fault,
        "subject": _SUBJECT,
        "status": _STATUS,
        "site": _SITES.c.name,
        "group": _GROUPS.c.name,
        "opened": _I.c.opened_at,
        "closed": _I.c.closed_at,
        "confidence": _I.c.confidence,
        "decision": _I.c.decision,
        "ending": _I.c.ending,
    },
    ("endpoint", "fault", "subject"),
    _I.c.endpoint_id,
    _E.c.organisation_id,
)
OUTCOME_FIELDS = Fields(
    {
        "endpoint": _E.c.name,
        "endpoint_id": _E.c.id,
        "incident": _OUTCOMES.c.incident_id,
        "playbook": _OUTCOMES.c.playbook,
        "action": _OUTCOMES.c.action,
        "subject": _OUTCOMES.c.subject_kind + ":" + _OUTCOMES.c.subject_name,
        "ending": _OUTCOMES.c.ending,
        "ended": _OUTCOMES.c.ended_at,
    },
    ("endpoint", "playbook", "subject"),
    _OUTCOMES.c.endpoint_id,
    _E.c.organisation_id,
)


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One line of the list.

    status: open, waiting (for a person), closed (by itself), or the ending of its last repair once it is closed:
    healed, rolled-back, unverified, failed or refused. `decision` is the latest kind, "" for none.
    """

    id: str
    endpoint_id: str
    endpoint: str
    fault: str
    subject: str
    confidence: float
    opened_at: datetime
    closed_at: datetime | None
    how_closed: str
    status: str
    decision: str
    ending: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decision of an agent. `would` is what full delegation would have done, where it only shadowed."""

    sequence: int
    incident_id: str
    at: datetime
    kind: str
    playbook: str
    code: str
    rule: str
    sentence: str
    would: str
    policy: str
    policy_revision: int


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """How one healing run ended. `message` is the wire's Outcome, with its steps."""

    run_id: str
    endpoint_id: str
    endpoint: str
    incident_id: str
    playbook: str
    action: str
    subject: str
    ending: str
    reason: str
    started_at: datetime
    ended_at: datetime
    pack_id: str
    restarts: int
    message: incident_pb2.Outcome


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    """An incident with all that happened to it, oldest first. `message` is the wire's Incident, with its evidence."""

    view: IncidentView
    message: incident_pb2.Incident
    decisions: tuple[DecisionView, ...]
    outcomes: tuple[OutcomeView, ...]
    packs: tuple[str, ...]


def list_page(connection: Connection, wanted: Filter, request: PageRequest) -> Page[IncidentView]:
    """Return incidents, the newest first."""
    order = Order((_I.c.opened_at, _I.c.id), descending=True)
    return page(connection, narrowed(_view_select(), wanted, FIELDS), order, request, built(IncidentView))


def get(connection: Connection, incident_id: str) -> IncidentDetail:
    """Return one incident.

    Raises NotFound.
    """
    row = connection.execute(_view_select().where(_I.c.id == incident_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no incident {incident_id!r}")
    body = connection.execute(select(_I.c.body).where(_I.c.id == incident_id)).scalar_one()
    packs = select(_PACKS.c.id).where(_PACKS.c.incident_id == incident_id).order_by(_PACKS.c.created_at)
    return IncidentDetail(
        built(IncidentView)(row),
        incident_pb2.Incident.FromString(body),
        _decisions(connection, incident_id, row.endpoint_id),
        _outcomes(connection, incident_id, row.endpoint_id),
        tuple(connection.execute(packs.limit(TIMELINE_MAX)).scalars()),
    )


def outcomes(connection: Connection, wanted: Filter, request: PageRequest) -> Page[OutcomeView]:
    """Return outcomes, the newest first."""
    order = Order((_OUTCOMES.c.ended_at, _OUTCOMES.c.run_id), descending=True)
    return page(connection, narrowed(_outcome_select(), wanted, OUTCOME_FIELDS), order, request, _outcome)


def counts(connection: Connection, organisation_id: str = "") -> dict[str, int]:
    """Return how many incidents there are by status."""
    statement = select(_STATUS.label("status")).join_from(_I, _E, _I.c.endpoint_id == _E.c.id)
    if organisation_id:
        statement = statement.where(_E.c.organisation_id == organisation_id)
    return counted(connection, statement)


def _decisions(connection: Connection, incident_id: str, endpoint_id: str) -> tuple[DecisionView, ...]:
    statement = (
        select(*(_DECISIONS.c[name] for name in DecisionView.__dataclass_fields__))
        # The endpoint too: nobody else may speak about its incident.
        .where(_DECISIONS.c.incident_id == incident_id, _DECISIONS.c.endpoint_id == endpoint_id)
        .order_by(_DECISIONS.c.at, _DECISIONS.c.sequence)
    )
    return tuple(map(built(DecisionView), connection.execute(statement.limit(TIMELINE_MAX))))


def _outcomes(connection: Connection, incident_id: str, endpoint_id: str) -> tuple[OutcomeView, ...]:
    statement = (
        _outcome_select()
        .where(_OUTCOMES.c.incident_id == incident_id, _OUTCOMES.c.endpoint_id == endpoint_id)
        .order_by(_OUTCOMES.c.ended_at, _OUTCOMES.c.run_id)
    )
    return tuple(map(_outcome, connection.execute(statement.limit(TIMELINE_MAX))))


def _view_select() -> Select[Any]:
    return (
        select(
            *(_I.c[name] for name in IncidentView.__dataclass_fields__ if name in _I.c),
            _E.c.name.label("endpoint"),
            _SUBJECT.label("subject"),
            _STATUS.label("status"),
        )
        .join_from(_I, _E, _I.c.endpoint_id == _E.c.id)
        .join(_SITES, _E.c.site_id == _SITES.c.id)
        .join(_GROUPS, _E.c.group_id == _GROUPS.c.id)
    )


def _outcome_select() -> Select[Any]:
    own = [_OUTCOMES.c[name] for name in OutcomeView.__dataclass_fields__ if name in _OUTCOMES.c]
    subject = (_OUTCOMES.c.subject_kind + ":" + _OUTCOMES.c.subject_name).label("subject")
    return select(*own, subject, _E.c.name.label("endpoint"), _OUTCOMES.c.body).join_from(
        _OUTCOMES, _E, _OUTCOMES.c.endpoint_id == _E.c.id
    )


def _outcome(row: Row[Any]) -> OutcomeView:
    known = row._asdict()
    return OutcomeView(message=incident_pb2.Outcome.FromString(known.pop("body")), **known)
