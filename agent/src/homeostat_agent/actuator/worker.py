"""The one thread that decides and acts: it takes the decider's messages one after the other and answers them.

Everything that changes belongs to it - journal, policy, host - so nothing needs a lock. What another thread has to
know, it gets as a finished message.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from homeostat.outcome import Outcome
from homeostat.plan import Refusal
from homeostat.wire import outcomes, plans
from homeostat.wire.incidents import incident_from_wire
from homeostat.wire.v1 import actuation_pb2, incident_pb2
from homeostat.wire.values import WireError
from homeostat_agent import VERSION
from homeostat_agent.actuator import grants
from homeostat_agent.actuator.authority import Authority, Permit, Verdict
from homeostat_agent.actuator.fence import fenced
from homeostat_agent.actuator.healer import Healer
from homeostat_agent.actuator.inbox import Connected, Inbox, Stop, Tidy
from homeostat_agent.actuator.journal import Journal
from homeostat_agent.actuator.order import No, Params, Wish, numbers
from homeostat_agent.actuator.planning import Planned, plan_afresh
from homeostat_agent.actuator.port import Clock, Send

log = logging.getLogger(__name__)

# How often an outcome is sent again that the decider has not confirmed.
REPEAT_S = 5.0
RUN_ID_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Decider:
    """The way to the decider: `publish` sets what one is told first that connects later."""

    send: Send
    publish: Callable[[actuation_pb2.Ready], None]


class Worker:
    """Answers the decider; `tidy` is done with the host's own tidying, when nothing else is to do."""

    def __init__(self, healer: Healer, authority: Authority, decider: Decider, tidy: Callable[[], None]) -> None:
        self._healer = healer
        self._journal: Journal = healer.journal
        self._clock: Clock = healer.clock
        self._authority = authority
        self._send = decider.send
        self._publish = decider.publish
        self._tidy_too = tidy

    def start(self) -> None:
        """Settle what was cut off, take the kept policy up again, and clear up."""
        self.tell_ready()
        for outcome in self._healer.resume():
            self._report(outcome)
        self._authority.restore()
        self._tidy()
        self.tell_ready()

    def work(self, inbox: Inbox) -> None:
        """Take items until Stop comes. Raises Stopping when a run was interrupted by it."""
        repeat_at = self._clock.elapsed() + REPEAT_S
        while True:
            waiting = self._journal.has_unacknowledged()
            item = inbox.take(max(0.0, repeat_at - self._clock.elapsed()) if waiting else None)
            match item:
                case Stop():
                    return
                case Tidy():
                    self._tidy()
                case actuation_pb2.DeciderMessage():
                    self.answer(item)
                case Connected() | None:
                    self._repeat()
                    repeat_at = self._clock.elapsed() + REPEAT_S

    def answer(self, message: actuation_pb2.DeciderMessage) -> None:
        """Do what one message asks for, and say what came of it."""
        match message.WhichOneof("message"):
            case "use_policy":
                self._use_policy(message.use_policy)
            case "heal":
                self._heal(message.heal)
            case "propose":
                self._propose(message.propose)
            case "outcome_stored":
                self._journal.acknowledge(message.outcome_stored.run_id, self._clock.now())
            case _:
                log.warning("event=unknown-message")  # of a later version

    def _tidy(self) -> None:
        self._healer.host.tidy()
        self._tidy_too()

    def _use_policy(self, offer: actuation_pb2.UsePolicy) -> None:
        signed = offer.signed.SerializeToString()
        verdict = fenced(lambda: self._authority.use_policy(signed), _refused_policy, "policy")
        self.tell_ready()
        log.info("event=policy accepted=%s reason=%r", verdict.accepted, verdict.reason)
        answer = actuation_pb2.PolicyVerdict(sha256=verdict.sha256, accepted=verdict.accepted, reason=verdict.reason)
        self._send(actuation_pb2.ActuatorMessage(policy_verdict=answer))

    def _heal(self, heal: actuation_pb2.Heal) -> None:
        if not _is_name(heal.run_id):
            self._refuse(heal, No("unreadable", f"A run's id has 1 to {RUN_ID_CHARACTERS_MAX} printable characters."))
        elif self._journal.find(heal.run_id) is not None:
            self._tell_of_known(heal)
        else:
            self._heal_once(heal)

    def _tell_of_known(self, heal: actuation_pb2.Heal) -> None:
        """Answer a wish that came again: the run is known, and is not begun a second time."""
        if any(one.run_id == heal.run_id for one in self._journal.unacknowledged()):
            self._repeat()
        else:
            self._refuse(heal, No("known-run", "The run has ended, and its outcome was confirmed as stored."))

    def _heal_once(self, heal: actuation_pb2.Heal) -> None:
        permit = fenced(lambda: self._permit(heal), lambda reason: No("unexpected", reason), heal.run_id)
        planned = self._plan_as_approved(permit) if isinstance(permit, Permit) else None
        if isinstance(permit, No):
            self._refuse(heal, permit)
        elif isinstance(planned, No):
            self._refuse(heal, planned)
        else:
            self.tell_ready(heal.run_id)
            self._report(self._healer.heal(permit.order, planned))
            self.tell_ready()
            self._tidy()

    def _permit(self, heal: actuation_pb2.Heal) -> Permit | No:
        try:
            incident = incident_from_wire(heal.incident)
        except WireError as error:
            return No("unreadable", f"The incident cannot be read: {error}.")
        signed_grant = heal.grant.SerializeToString() if heal.HasField("grant") else b""
        now = self._clock.now()
        wish = Wish(heal.run_id, incident, heal.playbook, signed_grant)
        return self._authority.permit(wish, self._journal.history(now), now)

    def _plan_as_approved(self, permit: Permit) -> Planned | No | None:
        """Plan now where a person approved a plan, and hold the one against the other."""
        if permit.grant is None:
            return None
        planned = plan_afresh(self._healer.host, permit.order.playbook.action, permit.order.params)
        if isinstance(planned.plan, Refusal):
            return planned  # a run that the pre-check refuses: that is its outcome
        return grants.changed(permit.grant, planned.plan) or planned

    def _propose(self, propose: actuation_pb2.Propose) -> None:
        found = fenced(lambda: self._proposal(propose), str, "proposal")
        answer = actuation_pb2.Proposal(pack_id=propose.pack_id)
        if isinstance(found, str):
            answer.refusal = found
        else:
            answer.plan.CopyFrom(found)
        self._send(actuation_pb2.ActuatorMessage(proposal=answer))

    def _proposal(self, propose: actuation_pb2.Propose) -> incident_pb2.Plan | str:
        """Return the plan that would be carried out now, or why there is none."""
        known = self._authority.playbook(propose.playbook)
        if isinstance(known, No):
            return known.sentence
        playbook, policy = known
        try:
            incident = incident_from_wire(propose.incident)
        except WireError as error:
            return f"The incident cannot be read: {error}."
        if incident.subject.kind is not playbook.spec.subject_kind:
            return f"{playbook.action} is not for {incident.subject}."
        params = Params(incident.subject.name, numbers(playbook, policy))
        plan = plan_afresh(self._healer.host, playbook.action, params).plan
        return plan.reason if isinstance(plan, Refusal) else plans.plan_to_wire(plan)

    def _refuse(self, heal: actuation_pb2.Heal, no: No) -> None:
        log.info("run=%s event=refused code=%s reason=%r", heal.run_id, no.code, no.sentence)
        reason = incident_pb2.Reason(code=no.code, rule=no.rule, sentence=no.sentence)
        answer = actuation_pb2.HealRefused(run_id=heal.run_id, pack_id=no.pack_id, reason=reason)
        self._send(actuation_pb2.ActuatorMessage(heal_refused=answer))

    def _report(self, outcome: Outcome) -> None:
        log.info("run=%s event=ended ending=%s reason=%r", outcome.run_id, outcome.ending, outcome.reason)
        self._send(actuation_pb2.ActuatorMessage(outcome=outcomes.outcome_to_wire(outcome)))

    def _repeat(self) -> None:
        for kept in self._journal.unacknowledged():
            outcome = incident_pb2.Outcome.FromString(kept.body)
            if not self._send(actuation_pb2.ActuatorMessage(outcome=outcome)):
                return

    def tell_ready(self, *begun: str) -> None:
        unfinished = [one.order.run_id for one in self._journal.unfinished()]
        ready = actuation_pb2.Ready(
            version=VERSION, unfinished_runs=[*unfinished, *begun], policy_sha256=self._authority.policy_sha256
        )
        self._publish(ready)


def _refused_policy(reason: str) -> Verdict:
    return Verdict(accepted=False, reason=f"The policy could not be looked at: {reason}")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= RUN_ID_CHARACTERS_MAX and text.isprintable()
