"""decide(): what to do about an incident, and the one rule or limit that settled it.

The agent runs it before acting, the actuator runs it again on its own copy before it obeys, and the controller runs it
in simulation.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.budget import History, PastRun, failed, spent
from homeostat.incident import Incident
from homeostat.playbook import Playbook
from homeostat.policy import Budget, Level, Policy, Rule


class ReasonCode(StrEnum):
    """What settled a decision."""

    DELEGATED = "delegated"
    NO_RULE = "no-rule"
    NO_DIRECT_EVIDENCE = "no-direct-evidence"
    NO_PLAYBOOK = "no-playbook"
    INEFFECTIVE = "ineffective"
    LEVEL = "level"
    CONFIDENCE = "confidence"
    RISK = "risk"
    RULE_BUDGET = "rule-budget"
    ACTION_BUDGET = "action-budget"
    ERROR_BUDGET = "error-budget"
    REPEATS = "repeats"
    QUIET_HOURS = "quiet-hours"


@dataclass(frozen=True, slots=True)
class Reason:
    """The rule or limit that settled it, by code and rule name, and as a sentence a person can read."""

    code: ReasonCode
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Act:
    """Repair it now, alone."""

    playbook: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Ask:
    """Propose the repair to a person as an exception pack."""

    playbook: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Shadow:
    """Do nothing and bother nobody; record what full delegation would have done."""

    would: "Act | Ask | Escalate"
    reason: Reason


@dataclass(frozen=True, slots=True)
class Observe:
    """Watch and report."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Escalate:
    """A person is needed, and there is no repair to propose."""

    reason: Reason


Decision = Act | Ask | Shadow | Observe | Escalate


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as it is reported: on which incident, when (aware), and under which policy."""

    incident_id: str
    at: datetime
    decision: Decision
    policy: str
    policy_revision: int


def decide(incident: Incident, policy: Policy, history: History, now: datetime) -> Decision:
    """Choose what to do about `incident` under an effective policy.

    `now` is aware and in the endpoint's own zone (quiet hours are local). Rules are tried in policy order and the first
    that covers the incident counts. Act is returned only if delegation, budgets and quiet hours all allow it;
    otherwise the answer names the one limit that refused.
    """
    rule = next((one for one in policy.rules if one.covers(incident.fault, incident.subject)), None)
    if rule is None:
        return Observe(Reason(ReasonCode.NO_RULE, "", f"No rule covers {incident.fault} on {incident.subject}."))
    if not incident.evidence.signals:
        return Observe(Reason(ReasonCode.NO_DIRECT_EVIDENCE, rule.name, "The model alone never authorises a repair."))
    if rule.delegation.level is Level.OBSERVE:
        return Observe(Reason(ReasonCode.LEVEL, rule.name, f"Rule {rule.name} delegates observing only."))
    return _at_level(_under_full_delegation(_Case(incident, rule, policy, history, now)), rule)


@dataclass(frozen=True, slots=True)
class _Case:
    """An incident under the rule that covers it."""

    incident: Incident
    rule: Rule
    policy: Policy
    history: History
    now: datetime

    def reason(self, code: ReasonCode, sentence: str) -> Reason:
        return Reason(code, self.rule.name, sentence)

    def tried(self, playbook: Playbook) -> list[PastRun]:
        """Return the runs of one playbook on the incident's subject, whatever the fault and whichever the rule."""
        subject = self.incident.subject
        return [run for run in self.history.runs if run.playbook == playbook.name and run.subject == subject]


def _under_full_delegation(case: _Case) -> Act | Ask | Escalate:
    playbook = _choose(case)
    if not isinstance(playbook, Playbook):
        return Escalate(playbook)
    refusal = _too_unsure(case) or _too_risky(case, playbook) or _over_budget(case, playbook) or _quiet(case)
    if refusal is not None:
        return Ask(playbook.name, refusal)
    sentence = f"Rule {case.rule.name} delegates {playbook.name} on {case.incident.subject}."
    return Act(playbook.name, case.reason(ReasonCode.DELEGATED, sentence))


def _at_level(wanted: Act | Ask | Escalate, rule: Rule) -> Decision:
    level = rule.delegation.level
    reason = Reason(ReasonCode.LEVEL, rule.name, f"Rule {rule.name} is at level {level.word}.")
    if level is Level.SHADOW:
        return Shadow(wanted, reason)
    if level is Level.ASK and isinstance(wanted, Act):
        return Ask(wanted.playbook, reason)
    return wanted


def _choose(case: _Case) -> Playbook | Reason:
    kind, rule = case.incident.subject.kind, case.rule
    named = [case.policy.playbooks[name] for name in rule.playbooks]
    candidates = [playbook for playbook in named if playbook.spec.subject_kind is kind]
    if not candidates:
        sentence = f"Rule {rule.name} names no playbook that repairs a {kind}: a person is needed."
        return case.reason(ReasonCode.NO_PLAYBOOK, sentence)
    repeats = case.policy.limits.repeats
    for playbook in candidates:
        if spent(repeats, failed(case.tried(playbook)), case.now) == 0:
            return playbook
    sentence = f"Every playbook of rule {rule.name} failed on {case.incident.subject} within {_span(repeats)}."
    return case.reason(ReasonCode.INEFFECTIVE, sentence)


def _too_unsure(case: _Case) -> Reason | None:
    confidence, least = case.incident.confidence, case.rule.delegation.least_confidence
    if confidence >= least:
        return None
    return case.reason(ReasonCode.CONFIDENCE, f"Confidence {confidence!r} is below {least!r}.")


def _too_risky(case: _Case, playbook: Playbook) -> Reason | None:
    risk, highest = playbook.spec.risk, case.rule.delegation.highest_risk
    if risk <= highest:
        return None
    sentence = f"{playbook.action} is of {risk.word} risk; rule {case.rule.name} delegates up to {highest.word}."
    return case.reason(ReasonCode.RISK, sentence)


def _over_budget(case: _Case, playbook: Playbook) -> Reason | None:
    limits, runs, rule = case.policy.limits, case.history.runs, case.rule
    of_rule = [run for run in runs if run.rule == rule.name]
    checks = (
        (ReasonCode.ERROR_BUDGET, limits.failures, failed(runs), "failed repairs on this endpoint"),
        (
            ReasonCode.REPEATS,
            limits.repeats,
            case.tried(playbook),
            f"repairs by {playbook.name} on {case.incident.subject}",
        ),
        (ReasonCode.RULE_BUDGET, rule.delegation.budget, of_rule, f"repairs under rule {rule.name}"),
        (ReasonCode.ACTION_BUDGET, limits.actions, runs, "repairs on this endpoint"),
    )
    for code, budget, counted, what in checks:
        if budget is None:
            continue
        used = spent(budget, counted, case.now)
        if used >= budget.count:
            return case.reason(code, f"{used} of {budget.count} {what} within {_span(budget)} are used.")
    return None


def _quiet(case: _Case) -> Reason | None:
    for name in case.rule.delegation.quiet_hours:
        if case.policy.quiet_hours[name].covers(case.now):
            return case.reason(ReasonCode.QUIET_HOURS, f"Quiet hours {name} are on.")
    return None


def _span(budget: Budget) -> str:
    seconds = budget.period.total_seconds()
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
