"""From an endpoint's events to the rows that lists show: incidents, decisions, outcomes, exception packs, notices.

Invariant: the same events give the same rows, and one endpoint's events never change another's rows. What an endpoint
says is cleaned on the way in: a hostile text must not be able to fail the batch it shares with others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection, Table, and_, bindparam, or_, select, update

from homeostat.wire.v1 import incident_pb2, link_pb2, policy_pb2
from homeostat_controller.store.database import insert, table
from homeostat_controller.store.tables import Decision, ExceptionPack, Grant, Incident, Notice, Outcome

ID_CHARACTERS_MAX = 128
# PostgreSQL indexes no text above some 2,700 bytes; UTF-8 takes up to four bytes a character.
NAME_CHARACTERS_MAX = 255
SENTENCE_CHARACTERS_MAX = 2000
_I = table(Incident)
_D = table(Decision)
_O = table(Outcome)
_P = table(ExceptionPack)
_N = table(Notice)
_G = table(Grant)
Row = dict[str, Any]


class Unreadable(Exception):  # noqa: N818  # a property of the event
    """An event that is none, or that lacks what its row needs."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event came from: the endpoint of the certificate, its number in that endpoint's log, and when.

    `at` is the event's own time, or that of receipt where it has none.
    """

    endpoint_id: str
    sequence: int
    at: datetime


@dataclass(slots=True)
class Derived:
    """The rows of one batch, and the changes to rows that may be older. Keys of changes are "of_" endpoint and id."""

    incidents: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    outcomes: list[Row] = field(default_factory=list)
    packs: list[Row] = field(default_factory=list)
    notices: list[Row] = field(default_factory=list)
    closed: list[Row] = field(default_factory=list)
    decided: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    superseded: list[Row] = field(default_factory=list)
    withdrawn: list[Row] = field(default_factory=list)

    def add(self, origin: Origin, body: bytes) -> None:
        """Take in one event. One that cannot be read becomes a notice and is kept in the log as it is."""
        try:
            event = link_pb2.Event.FromString(body)
            kind = event.WhichOneof("event") or ""
            origin = replace(origin, at=_time(event, "at", origin))
            if kind in _FOLDS:
                _FOLDS[kind](self, origin, getattr(event, kind))
        except (DecodeError, Unreadable) as error:
            sentence = f"Record {origin.sequence} cannot be read: {error}"
            self.notices.append(_notice(origin, origin.at, "event-unreadable", sentence))


def write(connection: Connection, derived: Derived) -> None:
    """Write a batch: new rows first, then what they change."""
    for into, rows in (
        (_I, derived.incidents),
        (_D, derived.decisions),
        (_O, derived.outcomes),
        (_P, derived.packs),
        (_N, derived.notices),
    ):
        if rows:
            connection.execute(insert(connection, into).on_conflict_do_nothing(), rows)
    _change(connection, _I, derived.decided)
    _change(connection, _I, derived.ended)
    _change(connection, _I, derived.closed)
    _void(connection, [{**row, "reason": "a newer pack took its place"} for row in derived.superseded])
    _void(connection, [{**row, "reason": "the endpoint has decided otherwise since"} for row in derived.withdrawn])
    closed = [{"of_endpoint": row["of_endpoint"], "of_id": row["of_id"], "but": ""} for row in derived.closed]
    _void(connection, [{**row, "reason": "the incident closed"} for row in closed])
    _use(connection, [row for row in derived.outcomes if row["pack_id"]])


def _change(connection: Connection, into: Table, rows: list[Row]) -> None:
    if rows:
        mine = and_(into.c.id == bindparam("of_id"), into.c.endpoint_id == bindparam("of_endpoint"))
        connection.execute(update(into).where(mine), rows)


def _void(connection: Connection, rows: list[Row]) -> None:
    if rows:
        of_incident = and_(_P.c.incident_id == bindparam("of_id"), _P.c.endpoint_id == bindparam("of_endpoint"))
        waiting = and_(of_incident, _P.c.status == "waiting", _P.c.id != bindparam("but"))
        connection.execute(update(_P).where(waiting).values(status="void"), rows)


def _use(connection: Connection, outcomes: list[Row]) -> None:
    rows = [{"of_id": row["pack_id"], "of_endpoint": row["endpoint_id"]} for row in outcomes]
    if rows:
        mine = and_(_P.c.id == bindparam("of_id"), _P.c.endpoint_id == bindparam("of_endpoint"))
        # Expired too: the run is the proof that the approval arrived, even where its receipt did not.
        granted = and_(or_(_P.c.status == "approved", _P.c.status == "expired"), _P.c.id.in_(select(_G.c.pack_id)))
        connection.execute(update(_P).where(mine, granted).values(status="used"), rows)


def _opened(derived: Derived, origin: Origin, said: incident_pb2.Incident) -> None:
    derived.incidents.append(
        {
            "id": _id(said.id),
            "endpoint_id": origin.endpoint_id,
            "fault": _name(said.fault),
            "subject_kind": _name(said.subject.kind),
            "subject_name": _name(said.subject.name),
            "confidence": said.confidence if isfinite(said.confidence) else 0.0,
            "opened_at": _time(said, "opened_at", origin),
            "closed_at": None,
            "how_closed": "",
            "decision": "",
            "ending": "",
            "body": said.SerializeToString(),
        }
    )


def _closed(derived: Derived, origin: Origin, said: link_pb2.IncidentClosed) -> None:
    values = {"closed_at": _time(said, "at", origin), "how_closed": _name(said.how)}
    derived.closed.append({"of_endpoint": origin.endpoint_id, "of_id": _id(said.incident_id), **values})


def _decided(derived: Derived, origin: Origin, said: incident_pb2.Decision) -> None:
    kind = _word(incident_pb2.DecisionKind, said.kind)
    derived.decisions.append(
        {
            "endpoint_id": origin.endpoint_id,
            "sequence": origin.sequence,
            "incident_id": _id(said.incident_id),
            "at": _time(said, "at", origin),
            "kind": kind,
            "playbook": _name(said.playbook),
            "code": _name(said.reason.code),
            "rule": _name(said.reason.rule),
            "sentence": _sentence(said.reason.sentence),
            "would": _word(incident_pb2.DecisionKind, said.would),
            "policy": _name(said.policy),
            "policy_revision": min(said.policy_revision, 2**63 - 1),
        }
    )
    place = {"of_endpoint": origin.endpoint_id, "of_id": _id(said.incident_id)}
    derived.decided.append({**place, "decision": kind})
    if kind != "ask":
        # Nobody is asked any more, so what was asked before can no longer be answered.
        derived.withdrawn.append({**place, "but": ""})


def _proposed(derived: Derived, origin: Origin, said: incident_pb2.ExceptionPack) -> None:
    pack_id, incident_id = _id(said.id), _id(said.incident.id)
    derived.packs.append(
        {
            "id": pack_id,
            "endpoint_id": origin.endpoint_id,
            "incident_id": incident_id,
            "playbook": _name(said.playbook),
            "risk": _word(policy_pb2.Risk, said.risk),
            "status": "waiting",
            "created_at": _time(said, "created_at", origin),
            "expires_at": _time(said, "expires_at", origin),
            "decided_by": "",
            "reason": "",
            "body": said.SerializeToString(),
        }
    )
    place = {"of_endpoint": origin.endpoint_id, "of_id": incident_id}
    derived.superseded = [row for row in derived.superseded if {**row, **place} != row]
    derived.withdrawn = [row for row in derived.withdrawn if {**row, **place} != row]
    derived.superseded.append({**place, "but": pack_id})


def _ended(derived: Derived, origin: Origin, said: incident_pb2.Outcome) -> None:
    ending = _word(incident_pb2.Ending, said.ending)
    derived.outcomes.append(
        {
            "run_id": _id(said.run_id),
            "endpoint_id": origin.endpoint_id,
            "sequence": origin.sequence,
            "incident_id": _id(said.incident_id),
            "playbook": _name(said.playbook),
            "action": _name(said.action),
            "subject_kind": _name(said.subject.kind),
            "subject_name": _name(said.subject.name),
            "ending": ending,
            "reason": _sentence(said.reason),
            "started_at": _time(said, "started_at", origin),
            "ended_at": _time(said, "ended_at", origin),
            "pack_id": _name(said.pack_id),
            "restarts": min(said.restarts, 2**31 - 1),
            "body": said.SerializeToString(),
        }
    )
    derived.ended.append({"of_endpoint": origin.endpoint_id, "of_id": _id(said.incident_id), "ending": ending})


def _rejected(derived: Derived, origin: Origin, said: link_pb2.PolicyRejection) -> None:
    sentence = f"{said.policy.name} revision {said.policy.revision}: {said.reason}"
    derived.notices.append(_notice(origin, _time(said, "at", origin), "policy-rejected", sentence))


def _noticed(derived: Derived, origin: Origin, said: link_pb2.Notice) -> None:
    derived.notices.append(_notice(origin, origin.at, said.code, said.sentence))


_FOLDS: Mapping[str, Callable[[Derived, Origin, Any], None]] = {
    "incident_opened": _opened,
    "incident_closed": _closed,
    "decision": _decided,
    "exception_pack": _proposed,
    "outcome": _ended,
    "policy_rejected": _rejected,
    "notice": _noticed,
}


def _notice(origin: Origin, at: datetime, code: str, sentence: str) -> Row:
    where = {"endpoint_id": origin.endpoint_id, "sequence": origin.sequence}
    return {**where, "at": at, "code": _name(code), "sentence": _sentence(sentence)}


def _id(said: str) -> str:
    if not said or len(said) > ID_CHARACTERS_MAX or "\0" in said:
        raise Unreadable("it has no usable identifier")
    return said


def _name(said: str) -> str:
    return said[:NAME_CHARACTERS_MAX].replace("\0", "�")


def _sentence(said: str) -> str:
    return said[:SENTENCE_CHARACTERS_MAX].replace("\0", "�")


def _word(enum: Any, number: int) -> str:
    """Return the word of an enum's value; a newer agent may know more of them."""
    if number not in enum.values():
        return "unknown"
    name = str(enum.Name(number)).removeprefix(_prefix(enum))
    return "" if name == "UNSPECIFIED" else name.lower().replace("_", "-")


def _prefix(enum: Any) -> str:
    return str(enum.Name(0)).removesuffix("UNSPECIFIED")


def _time(message: Any, name: str, origin: Origin) -> datetime:
    """Return a time that an endpoint gave, or that of receipt where it gave none or one that is no date."""
    if not message.HasField(name):
        return origin.at
    stamp: Timestamp = getattr(message, name)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return origin.at
