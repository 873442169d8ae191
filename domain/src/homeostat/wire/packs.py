"""Exception packs and grants ⇄ messages."""

from homeostat.decision import Ask, DecisionRecord
from homeostat.exception_pack import ExceptionPack, Grant
from homeostat.wire import values
from homeostat.wire.decisions import decision_from_wire, decision_to_wire
from homeostat.wire.incidents import incident_from_wire, incident_to_wire
from homeostat.wire.plans import plan_from_wire, plan_to_wire
from homeostat.wire.policies import risk_from_wire, risk_to_wire
from homeostat.wire.v1 import incident_pb2

_SHA256_BYTES = 32


def pack_to_wire(pack: ExceptionPack) -> incident_pb2.ExceptionPack:
    """Return the message; ValueError for a naive time."""
    record = DecisionRecord(pack.incident.id, pack.created_at, pack.decision, pack.policy, pack.policy_revision)
    return incident_pb2.ExceptionPack(
        id=pack.id,
        incident=incident_to_wire(pack.incident),
        decision=decision_to_wire(record),
        playbook=pack.decision.playbook,
        risk=risk_to_wire(pack.risk),
        plan=plan_to_wire(pack.plan),
        undo=pack.undo,
        created_at=values.moment_to_wire(pack.created_at),
        expires_at=values.moment_to_wire(pack.expires_at),
    )


def pack_from_wire(message: incident_pb2.ExceptionPack) -> ExceptionPack:
    """Return the pack; WireError if the message is none, or names two incidents or two playbooks."""
    incident = incident_from_wire(values.part(message, "incident", incident_pb2.Incident))
    record = decision_from_wire(values.part(message, "decision", incident_pb2.Decision))
    decision = record.decision
    if not isinstance(decision, Ask) or decision.playbook != message.playbook or record.incident_id != incident.id:
        raise values.WireError("decision: does not ask for this pack's repair")
    return ExceptionPack(
        id=values.text(message.id, "id"),
        incident=incident,
        decision=decision,
        policy=record.policy,
        policy_revision=record.policy_revision,
        risk=risk_from_wire(message.risk, "risk"),
        plan=plan_from_wire(values.part(message, "plan", incident_pb2.Plan)),
        undo=message.undo,
        created_at=values.moment_from_wire(message, "created_at"),
        expires_at=values.moment_from_wire(message, "expires_at"),
    )


def grant_to_wire(grant: Grant) -> incident_pb2.Grant:
    """Return the message; ValueError for a naive time."""
    return incident_pb2.Grant(
        pack_id=grant.pack_id,
        endpoint_id=grant.endpoint_id,
        incident_id=grant.incident_id,
        playbook=grant.playbook,
        state_digest=grant.state_digest,
        plan_digest=grant.plan_digest,
        policy_revision=grant.policy_revision,
        approver=grant.approver,
        not_after=values.moment_to_wire(grant.not_after),
        nonce=grant.nonce,
    )


def grant_from_wire(message: incident_pb2.Grant) -> Grant:
    """Return the grant; WireError if the message is none: a grant with a part missing would allow too much."""
    if len(message.plan_digest) != _SHA256_BYTES or len(message.state_digest) != _SHA256_BYTES or not message.nonce:
        raise values.WireError("grant: lacks a digest or its nonce")
    return Grant(
        pack_id=values.text(message.pack_id, "pack_id"),
        endpoint_id=values.text(message.endpoint_id, "endpoint_id"),
        incident_id=values.text(message.incident_id, "incident_id"),
        playbook=values.text(message.playbook, "playbook"),
        state_digest=message.state_digest,
        plan_digest=message.plan_digest,
        policy_revision=message.policy_revision,
        approver=values.text(message.approver, "approver"),
        not_after=values.moment_from_wire(message, "not_after"),
        nonce=message.nonce,
    )
