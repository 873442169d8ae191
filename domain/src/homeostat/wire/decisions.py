"""Decisions as they are reported ⇄ messages."""

from types import MappingProxyType

from homeostat.decision import Act, Ask, Decision, DecisionRecord, Escalate, Observe, Reason, ReasonCode, Shadow
from homeostat.wire import values
from homeostat.wire.v1 import incident_pb2

_KINDS = MappingProxyType(
    {
        Act: incident_pb2.DECISION_KIND_ACT,
        Ask: incident_pb2.DECISION_KIND_ASK,
        Shadow: incident_pb2.DECISION_KIND_SHADOW,
        Observe: incident_pb2.DECISION_KIND_OBSERVE,
        Escalate: incident_pb2.DECISION_KIND_ESCALATE,
    }
)


def decision_to_wire(record: DecisionRecord) -> incident_pb2.Decision:
    """Return the message; ValueError for a naive time."""
    decision = record.decision
    chosen = decision.would if isinstance(decision, Shadow) else decision
    message = incident_pb2.Decision(
        incident_id=record.incident_id,
        at=values.moment_to_wire(record.at),
        kind=_KINDS[type(decision)],
        playbook=chosen.playbook if isinstance(chosen, Act | Ask) else "",
        reason=reason_to_wire(decision.reason),
        policy=record.policy,
        policy_revision=record.policy_revision,
    )
    if isinstance(decision, Shadow):
        message.would = _KINDS[type(decision.would)]
        message.would_reason.CopyFrom(reason_to_wire(decision.would.reason))
    return message


def decision_from_wire(message: incident_pb2.Decision) -> DecisionRecord:
    """Return the decision with its circumstances; WireError if the message is none."""
    reason = reason_from_wire(values.part(message, "reason", incident_pb2.Reason))
    return DecisionRecord(
        incident_id=values.text(message.incident_id, "incident_id"),
        at=values.moment_from_wire(message, "at"),
        decision=_decision(message, reason),
        policy=values.text(message.policy, "policy"),
        policy_revision=message.policy_revision,
    )


def reason_to_wire(reason: Reason) -> incident_pb2.Reason:
    """Return the message."""
    return incident_pb2.Reason(code=reason.code, rule=reason.rule, sentence=reason.sentence)


def reason_from_wire(message: incident_pb2.Reason) -> Reason:
    """Return the reason; WireError for a code that is not known."""
    code = values.word(ReasonCode, message.code, "reason.code")
    return Reason(code, message.rule, values.text(message.sentence, "reason.sentence"))


def _decision(message: incident_pb2.Decision, reason: Reason) -> Decision:
    if message.kind == incident_pb2.DECISION_KIND_SHADOW:
        would_reason = reason_from_wire(values.part(message, "would_reason", incident_pb2.Reason))
        return Shadow(_settled(message.would, message.playbook, would_reason), reason)
    if message.kind == incident_pb2.DECISION_KIND_OBSERVE:
        return Observe(reason)
    return _settled(message.kind, message.playbook, reason)


def _settled(kind: incident_pb2.DecisionKind.ValueType, playbook: str, reason: Reason) -> Act | Ask | Escalate:
    match kind:
        case incident_pb2.DECISION_KIND_ACT:
            return Act(values.text(playbook, "playbook"), reason)
        case incident_pb2.DECISION_KIND_ASK:
            return Ask(values.text(playbook, "playbook"), reason)
        case incident_pb2.DECISION_KIND_ESCALATE:
            return Escalate(reason)
        case _:
            raise values.WireError(f"kind: {kind} is not known here")
