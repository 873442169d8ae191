"""What is said between the pipeline and the actuator, in the pipeline's own words.

Nothing is begun before the actuator has taken the policy on this connection: by then it has also told of every run it
knows, so a run that it does not know of has never begun.
"""

import logging
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from google.protobuf.message import Message

from homeostat.decision import Reason, ReasonCode
from homeostat.wire.incidents import incident_to_wire
from homeostat.wire.outcomes import outcome_from_wire
from homeostat.wire.plans import plan_from_wire
from homeostat.wire.v1 import actuation_pb2, incident_pb2, policy_pb2
from homeostat_agent.decider.effects import ConfirmOutcome, Effects, RequestProposal, StartHealing
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.pipeline import Pipeline

log = logging.getLogger(__name__)


class Sender(Protocol):
    """The link to the actuator, as far as something is said over it."""

    def send(self, **message: Message) -> bool:
        """Send one DeciderMessage, given as its one field; say whether it left."""


class ActuatorTalk:
    """The conversation over a link that may break at any time. One thread owns it."""

    def __init__(self, pipeline: Pipeline, link: Sender) -> None:
        self._pipeline = pipeline
        self._link = link
        self._policy: policy_pb2.Signed | None = None
        self._unfinished: frozenset[str] | None = None

    def use_policy(self, signed: bytes) -> None:
        """Have the actuator decide by this policy too, now and after each new connection."""
        self._policy = policy_pb2.Signed.FromString(signed)
        self._offer()

    def say(self, effect: StartHealing | RequestProposal | ConfirmOutcome) -> None:
        """Send what the pipeline wants. What does not arrive is decided anew on the next connection."""
        match effect:
            case StartHealing(run_id, incident, playbook, grant):
                signed = policy_pb2.Signed.FromString(grant) if grant else None
                heal = actuation_pb2.Heal(
                    run_id=run_id, incident=incident_to_wire(incident), playbook=playbook, grant=signed
                )
                self._link.send(heal=heal)
            case RequestProposal(pack_id, incident, playbook):
                wanted = actuation_pb2.Propose(pack_id=pack_id, incident=incident_to_wire(incident), playbook=playbook)
                self._link.send(propose=wanted)
            case ConfirmOutcome(run_id):
                self._link.send(outcome_stored=actuation_pb2.OutcomeStored(run_id=run_id))

    def heard(self, message: actuation_pb2.ActuatorMessage, now: datetime) -> Effects:
        """Take what the actuator says. Raises WireError for what is no valid value."""
        match message.WhichOneof("message"):
            case "ready":
                return self._ready(message.ready, now)
            case "policy_verdict":
                return self._judged(message.policy_verdict, now)
            case "proposal":
                return self._proposed(message.proposal, now)
            case _:
                return self._of_run(message, now)

    def gone(self, reason: str, now: datetime) -> Effects:
        """There is no connection for now."""
        self._unfinished = None
        return self._pipeline.hinder(Hindrance.ACTUATOR, reason, now)

    def _ready(self, ready: actuation_pb2.Ready, now: datetime) -> Effects:
        self._unfinished = frozenset(ready.unfinished_runs)
        if self._policy is None:
            return self._catch_up(now)  # no policy: nothing can have been begun, and nothing will be
        self._offer()
        return self._pipeline.hinder(Hindrance.ACTUATOR, "The actuator is looking at the policy.", now)

    def _judged(self, verdict: actuation_pb2.PolicyVerdict, now: datetime) -> Effects:
        if self._policy is None or verdict.sha256 not in (b"", sha256(self._policy.payload).digest()):
            return ()  # about a policy before this one
        if verdict.accepted:
            return self._catch_up(now)
        self._pipeline.hindrances.pop(Hindrance.ACTUATOR, None)
        return self._pipeline.hinder(Hindrance.ACTUATOR, f"The actuator refused the policy: {verdict.reason}", now)

    def _catch_up(self, now: datetime) -> Effects:
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is None:
            return self._pipeline.able_again(Hindrance.ACTUATOR, now)
        return self._pipeline.caught_up(unfinished, now)

    def _of_run(self, message: actuation_pb2.ActuatorMessage, now: datetime) -> Effects:
        match message.WhichOneof("message"):
            case "heal_refused":
                reason = _limit(message.heal_refused.reason)
                return self._pipeline.refused(message.heal_refused.run_id, reason, now)
            case "run_progress":
                return self._pipeline.progressed(message.run_progress.run_id)
            case "outcome":
                return self._pipeline.ended(outcome_from_wire(message.outcome), now)
            case _:
                log.warning("event=unknown-message")  # of a later version
                return ()

    def _proposed(self, proposal: actuation_pb2.Proposal, now: datetime) -> Effects:
        found = proposal.refusal or plan_from_wire(proposal.plan)
        return self._pipeline.proposed(proposal.pack_id, found, now)

    def _offer(self) -> None:
        if self._policy is not None:
            self._link.send(use_policy=actuation_pb2.UsePolicy(signed=self._policy))


def _limit(reason: incident_pb2.Reason) -> Reason | str:
    """Return a limit of the policy as one, anything else as its sentence."""
    try:
        return Reason(ReasonCode(reason.code), reason.rule, reason.sentence)
    except ValueError:
        return reason.sentence or reason.code
