"""An incident's way in five lines: detected, decided, pre-check, acted, verified or undone. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_agent.cli.output import moment
from homeostat_agent.decider.store.incidents import IncidentRecord

ENDINGS = {
    incident_pb2.ENDING_REFUSED: "refused",
    incident_pb2.ENDING_HEALED: "healed",
    incident_pb2.ENDING_ROLLED_BACK: "rolled-back",
    incident_pb2.ENDING_UNVERIFIED: "unverified",
    incident_pb2.ENDING_FAILED: "failed",
}
KINDS = {
    incident_pb2.DECISION_KIND_ACT: "act",
    incident_pb2.DECISION_KIND_ASK: "ask",
    incident_pb2.DECISION_KIND_SHADOW: "shadow",
    incident_pb2.DECISION_KIND_OBSERVE: "observe",
    incident_pb2.DECISION_KIND_ESCALATE: "escalate",
}
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Line:
    """One step of the way: its name, when it was (empty: not yet), and what happened."""

    step: str
    at: str
    said: str


def tell(record: IncidentRecord) -> tuple[Line, ...]:
    """Return the five lines of an incident, and one more for each pack that was sent and each denial."""
    incident, outcome = record.incident, latest(record, incident_pb2.Outcome)
    decision = latest(record, incident_pb2.Decision)
    steps = list(outcome.steps) if outcome is not None else every(record, incident_pb2.RunStep)
    return (
        Line("detected", moment(incident.opened_at), _detected(incident)),
        Line("decided", moment(decision.at) if decision else "", _decided(decision, incident)),
        *(Line("asked", moment(one.created_at), _asked(one)) for one in every(record, incident_pb2.ExceptionPack)),
        *(Line("denied", "", f"by {one.by}: {one.reason}") for one in every(record, link_pb2.Denial)),
        _of_stage("pre-check", "prechecking", steps, record.how),
        _of_stage("acted", "acting", steps, record.how),
        _verified(outcome, steps, record.how),
    )


def summary(record: IncidentRecord) -> dict[str, Any]:
    """Return an incident as one row."""
    incident, outcome = record.incident, latest(record, incident_pb2.Outcome)
    return {
        "id": incident.id,
        "opened_at": moment(incident.opened_at),
        "fault": incident.fault,
        "subject": f"{incident.subject.kind}:{incident.subject.name}",
        "confidence": round(incident.confidence, 3),
        "status": record.how or "open",
        "outcome": ENDINGS.get(outcome.ending, "") if outcome else "",
        "ended_at": moment(outcome.ended_at) if outcome else "",
    }


def latest(record: IncidentRecord, kind: type[M]) -> M | None:
    """Return the newest entry of a kind."""
    found = every(record, kind)
    return found[-1] if found else None


def every(record: IncidentRecord, kind: type[M]) -> list[M]:
    """Return all entries of a kind, oldest first."""
    return [one for one in record.entries if isinstance(one, kind)]


def _detected(incident: incident_pb2.Incident) -> str:
    signals = "; ".join(one.detail or one.kind for one in incident.evidence.signals)
    return f"{incident.fault} on {incident.subject.kind}:{incident.subject.name}: {signals or _unusual(incident)}"


def _unusual(incident: incident_pb2.Incident) -> str:
    anomaly = incident.evidence.anomaly
    share = ", ".join(f"{one.feature} {one.share:.0%}" for one in anomaly.attributions)
    return f"unusual, p-value {anomaly.p_value:.2g} ({share})"


def _decided(decision: incident_pb2.Decision | None, incident: incident_pb2.Incident) -> str:
    if decision is None:
        return "not yet"
    what = " ".join(word for word in (KINDS.get(decision.kind, "?"), decision.playbook) if word)
    policy = f"policy {decision.policy} r{decision.policy_revision}"
    return f"{what}, confidence {incident.confidence:.2f}, {policy}: {decision.reason.sentence}"


def _asked(pack: incident_pb2.ExceptionPack) -> str:
    return f"exception pack {pack.id}, {pack.playbook}: {pack.plan.expected_effect}; until {moment(pack.expires_at)}"


def _of_stage(name: str, stage: str, steps: Sequence[incident_pb2.RunStep], how: str) -> Line:
    found = [one for one in steps if one.stage == stage]
    if not found:
        return Line(name, "", "nothing was done" if how else "nothing yet")
    # A run's first line says why it was begun, which `decided` has told already.
    told = [one.detail for one in (found[1:] if stage == "prechecking" else found) if one.detail]
    return Line(name, moment(found[-1].at), "; ".join(told) or "done")


def _verified(outcome: incident_pb2.Outcome | None, steps: Sequence[incident_pb2.RunStep], how: str) -> Line:
    if outcome is None:
        return Line("verified", "", f"closed: {how}" if how else "nothing yet")
    undone = [one for one in steps if one.stage == "rolling-back"]
    ending = ENDINGS.get(outcome.ending, "?")
    details = [one.detail for one in steps if one.stage == "verifying" and one.detail]
    said = outcome.reason or (details[-1] if details else "")
    name = "undone" if undone else "verified"
    return Line(name, moment(outcome.ended_at), f"{ending}: {said}" if said else ending)
