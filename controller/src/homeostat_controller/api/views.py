"""From the store's values to what the API says; one function for each thing, used by routes and pages alike. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from homeostat.wire import plans
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError
from homeostat_controller.api import admin_schemas as admin
from homeostat_controller.api import schemas, sentences
from homeostat_controller.api.requests import Target
from homeostat_controller.api.timeline import steps_of
from homeostat_controller.store.approvals import PackDetail, PackView
from homeostat_controller.store.audit import AuditView
from homeostat_controller.store.endpoints import EndpointDetail, EndpointView, PolicyStatusView
from homeostat_controller.store.incidents import IncidentDetail, IncidentView, OutcomeView
from homeostat_controller.store.paging import Page
from homeostat_controller.store.tokens import TokenView

T = TypeVar("T")
S = TypeVar("S", bound=schemas.Said)
# An agent's own words for a service; what else it says is shown as unknown.
SERVICES_SHOWN = 200


def page(found: Page[T], say: Callable[[T], S], as_of: datetime) -> dict[str, Any]:
    """Return a page of said things, for any PageOf."""
    return {"items": [say(one) for one in found.items], "total": found.total, "next": found.next, "as_of": as_of}


def endpoint(view: EndpointView) -> schemas.Endpoint:
    """Say one line of the fleet; an endpoint that is frozen or revoked is that before anything else."""
    return schemas.Endpoint(**_endpoint(view))


def endpoint_detail(found: EndpointDetail) -> schemas.EndpointDetail:
    """Say everything about one endpoint."""
    view, state = found.view, found.state
    return schemas.EndpointDetail(
        **_endpoint(view),
        place=f"{view.organisation} / {view.site} / {view.group}",
        services=[_service(one) for one in _list(state.get("services"))[:SERVICES_SHOWN]],
        policy_status=policy_status(found.policy),
        metrics={**_numbers(found.telemetry), **_numbers(state.get("metrics"))},
        anomaly_p_value=_number(state.get("anomaly_p_value")),
        outbox_records=int(_number(state.get("outbox_records")) or 0),
        telemetry_dropped=found.telemetry_dropped,
        model=found.model,
        facts=dict(found.facts),
        certificate_not_after=found.certificate_not_after,
        state_at=found.state_at,
    )


def policy_status(said: PolicyStatusView) -> schemas.PolicyStatus:
    """Say what became of the policies that an endpoint was offered."""
    reference = schemas.PolicyReference
    return schemas.PolicyStatus(
        offered=reference(name=said.offered_name, revision=said.offered_revision, sha256=said.offered_sha256.hex()),
        active=reference(name=said.active_name, revision=said.active_revision, sha256=said.active_sha256.hex()),
        last_good=reference(
            name=said.last_good_name, revision=said.last_good_revision, sha256=said.last_good_sha256.hex()
        ),
        rejected=reference(name=said.rejected_name, revision=said.rejected_revision, sha256=said.rejected_sha256.hex()),
        rejected_reason=said.rejected_reason,
        rejected_at=said.rejected_at,
    )


def incident(view: IncidentView) -> schemas.Incident:
    """Say one line of the list of incidents."""
    return schemas.Incident(**_incident(view))


def incident_detail(found: IncidentDetail, packs: Sequence[PackDetail]) -> schemas.IncidentDetail:
    """Say everything about one incident, its way included."""
    decision = found.decisions[-1] if found.decisions else None
    outcome = found.outcomes[-1] if found.outcomes else None
    return schemas.IncidentDetail(
        **_incident(found.view),
        evidence=sentences.of_evidence(found.message.evidence),
        reason=decision.sentence if decision else "",
        outcome=outcome.reason if outcome else "",
        approval_id=packs[-1].view.id if packs else "",
        steps=steps_of(found, packs),
    )


def approval(view: PackView) -> schemas.Approval:
    """Say one line of the list of approvals."""
    return schemas.Approval(**_approval(view))


def approval_detail(found: PackDetail, run: OutcomeView | None) -> schemas.ApprovalDetail:
    """Say everything about one exception pack, and what came of it."""
    view, message = found.view, found.message
    decision = message.decision
    return schemas.ApprovalDetail(
        **_approval(view),
        why_asked=decision.reason.sentence,
        evidence=sentences.of_evidence(message.incident.evidence),
        confidence=message.incident.confidence,
        policy=schemas.PolicyReference(name=decision.policy, revision=decision.policy_revision),
        plan=schemas.Plan(
            forward=sentences.of_steps(message.plan.forward),
            backward=sentences.of_steps(message.plan.backward),
            expected_effect=message.plan.expected_effect,
            findings=list(message.plan.findings),
        ),
        undo=message.undo,
        target=Target(
            endpoint_id=view.endpoint_id,
            incident_id=view.incident_id,
            plan_digest=_plan_digest(message.plan),
            state_digest=message.plan.state_digest.hex(),
        ),
        decided_by=view.decided_by,
        decided_at=view.decided_at,
        reason=view.reason,
        receipt=found.receipt,
        receipt_reason=found.receipt_reason,
        run_id=found.run_id,
        run_ending=run.ending if run else "",
        run_reason=run.reason if run else "",
    )


def enrolment_token(view: TokenView, groups: Mapping[str, str]) -> admin.EnrolmentToken:
    """Say one token; `groups` gives their paths by id."""
    return admin.EnrolmentToken(
        id=view.id,
        group=groups.get(view.group_id, view.group_id),
        labels=dict(view.labels),
        note=view.note,
        status=view.status,
        created_by=view.created_by,
        created_at=view.created_at,
        expires_at=view.expires_at,
        endpoint_id=view.endpoint_id or "",
    )


def audit_entry(view: AuditView) -> admin.AuditEntry:
    """Say who did what."""
    return admin.AuditEntry(
        sequence=view.sequence,
        at=view.at,
        actor=view.actor,
        verb=view.verb,
        object_kind=view.object_kind,
        object_id=view.object_id,
        detail=dict(view.detail),
        hash=view.hash.hex(),
    )


def _endpoint(view: EndpointView) -> dict[str, Any]:
    stands = view.standing == "active"
    return {
        "id": view.id,
        "name": view.name,
        "organisation": view.organisation,
        "site": view.site,
        "group": view.group,
        "labels": dict(view.labels),
        "status": view.status if stands else view.standing,
        "detail": view.detail if stands else view.standing_reason,
        "os": view.os,
        "agent_version": view.agent_version,
        "policy": schemas.PolicyReference(
            name=view.active_name, revision=view.active_revision, sha256=view.active_sha256.hex()
        ),
        "open_incidents": view.open_incidents,
        "enrolled_at": view.enrolled_at,
        "last_seen_at": view.last_seen_at,
    }


def _incident(view: IncidentView) -> dict[str, Any]:
    names = ("id", "endpoint_id", "endpoint", "fault", "subject", "confidence", "status", "decision", "ending")
    return {name: getattr(view, name) for name in (*names, "opened_at", "closed_at")}


def _approval(view: PackView) -> dict[str, Any]:
    names = ("id", "endpoint_id", "endpoint", "incident_id", "fault", "subject", "playbook", "risk", "status")
    return {name: getattr(view, name) for name in (*names, "created_at", "expires_at")}


def _plan_digest(plan: incident_pb2.Plan) -> str:
    """Return the digest that a grant would name, "" for a plan that no agent could carry out."""
    try:
        return plans.digest(plans.plan_from_wire(plan)).hex()
    except WireError:
        return ""


def _service(said: Any) -> schemas.Service:
    found = said if isinstance(said, Mapping) else {}
    pid = _number(found.get("pid")) or 0
    return schemas.Service(name=str(found.get("name", "")), state=str(found.get("state", "unknown")), pid=int(pid))


def _list(said: Any) -> list[Any]:
    return said if isinstance(said, list) else []


def _numbers(said: Any) -> dict[str, float]:
    found = said if isinstance(said, Mapping) else {}
    return {str(name): value for name, one in found.items() if (value := _number(one)) is not None}


def _number(said: Any) -> float | None:
    # 64-bit integers are texts in protobuf's JSON; NaN and infinities are texts too, and no numbers to show.
    if isinstance(said, str):
        return float(said) if said.isascii() and said.isdigit() else None
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None
