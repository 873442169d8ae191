"""Outcomes of healing runs ⇄ messages."""

from types import MappingProxyType

from homeostat.outcome import Ending, Outcome, RunStep
from homeostat.wire import values
from homeostat.wire.incidents import subject_from_wire, subject_to_wire
from homeostat.wire.v1 import incident_pb2

_ENDINGS = MappingProxyType(
    {
        Ending.REFUSED: incident_pb2.ENDING_REFUSED,
        Ending.HEALED: incident_pb2.ENDING_HEALED,
        Ending.ROLLED_BACK: incident_pb2.ENDING_ROLLED_BACK,
        Ending.UNVERIFIED: incident_pb2.ENDING_UNVERIFIED,
        Ending.FAILED: incident_pb2.ENDING_FAILED,
    }
)
_BY_NUMBER = MappingProxyType({int(number): ending for ending, number in _ENDINGS.items()})


def outcome_to_wire(outcome: Outcome) -> incident_pb2.Outcome:
    """Return the message; ValueError for a naive time."""
    return incident_pb2.Outcome(
        run_id=outcome.run_id,
        incident_id=outcome.incident_id,
        playbook=outcome.playbook,
        action=outcome.action,
        subject=subject_to_wire(outcome.subject),
        ending=_ENDINGS[outcome.ending],
        reason=outcome.reason,
        started_at=values.moment_to_wire(outcome.started_at),
        ended_at=values.moment_to_wire(outcome.ended_at),
        steps=[run_step_to_wire(step) for step in outcome.steps],
        pack_id=outcome.pack_id,
        restarts=outcome.restarts,
    )


def outcome_from_wire(message: incident_pb2.Outcome) -> Outcome:
    """Return the outcome; WireError if the message is none."""
    return Outcome(
        run_id=values.text(message.run_id, "run_id"),
        incident_id=values.text(message.incident_id, "incident_id"),
        playbook=values.text(message.playbook, "playbook"),
        action=message.action,
        subject=subject_from_wire(values.part(message, "subject", incident_pb2.Subject)),
        ending=values.member(_BY_NUMBER, message.ending, "ending"),
        reason=message.reason,
        started_at=values.moment_from_wire(message, "started_at"),
        ended_at=values.moment_from_wire(message, "ended_at"),
        steps=tuple(run_step_from_wire(step) for step in message.steps),
        pack_id=message.pack_id,
        restarts=message.restarts,
    )


def run_step_to_wire(step: RunStep) -> incident_pb2.RunStep:
    """Return the message; ValueError for a naive time."""
    return incident_pb2.RunStep(stage=step.stage, at=values.moment_to_wire(step.at), detail=step.detail)


def run_step_from_wire(message: incident_pb2.RunStep) -> RunStep:
    """Return the step; WireError if the message is none."""
    return RunStep(values.text(message.stage, "stage"), values.moment_from_wire(message, "at"), message.detail)
