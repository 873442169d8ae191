"""decide(): what to do about an incident, and the one rule or limit that settled it.

The agent runs it before acting, the actuator runs it again on its own copy before it obeys, and the controller runs it
in simulation.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.budget import History, failed, spent
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
    """Do nothing; record what full delegation would have done."""

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
        return Observe(_reason(ReasonCode.NO_RULE, "", f"No rule covers {incident.fault} on {incident.subject}."))
    if not incident.evidence.signals:
        return Observe(_reason(ReasonCode.NO_DIRECT_EVIDENCE, rule.name, "The model alone never authorises a repair."))
    if rule.delegation.level is Level.OBSERVE:
        return Observe(_reason(ReasonCode.LEVEL, rule.name, f"Rule {rule.name} delegates observing only."))
    wanted = _under_full_delegation(incident, rule, policy, history, now)
    return _at_level(wanted, rule)


def _under_full_delegation(
    incident: Incident, rule: Rule, policy: Policy, history: History, now: datetime
) -> Act | Ask | Escalate:
    playbook = _choose(incident, rule, policy, history, now)
    if not isinstance(playbook, Playbook):
        return Escalate(playbook)
    refusal = (
        _too_unsure(incident, rule)
        or _too_risky(playbook, rule)
        or _over_budget(incident, rule, policy, history, now)
        or _quiet(rule, policy, now)
    )
    if refusal is not None:
        return Ask(playbook.name, refusal)
    sentence = f"Rule {rule.name} delegates {playbook.name} on {incident.subject}."
    return Act(playbook.name, _reason(ReasonCode.DELEGATED, rule.name, sentence))


def _at_level(wanted: Act | Ask | Escalate, rule: Rule) -> Decision:
    level = rule.delegation.level
    if level is Level.ACT or isinstance(wanted, Escalate):
        return wanted
    reason = _reason(ReasonCode.LEVEL, rule.name, f"Rule {rule.name} is at level {level.word}.")
    if level is Level.SHADOW:
        return Shadow(wanted, reason)
    return wanted if isinstance(wanted, Ask) else Ask(wanted.playbook, reason)


def _choose(incident: Incident, rule: Rule, policy: Policy, history: History, now: datetime) -> Playbook | Reason:
    candidates = [policy.playbooks[name] for name in rule.playbooks]
    if not candidates:
        sentence = f"Rule {rule.name} names no playbook: a person is needed."
        return _reason(ReasonCode.NO_PLAYBOOK, rule.name, sentence)
    repeats = policy.limits.repeats
    on_subject = [run for run in history.runs if run.subject == incident.subject]
    for playbook in candidates:
        tried = [run for run in on_subject if run.playbook == playbook.name]
        if spent(repeats, failed(tried), now) == 0:
            return playbook
    sentence = f"Every playbook of rule {rule.name} failed on {incident.subject} within {_span(repeats)}."
    return _reason(ReasonCode.INEFFECTIVE, rule.name, sentence)


def _too_unsure(incident: Incident, rule: Rule) -> Reason | None:
    least = rule.delegation.least_confidence
    if incident.confidence >= least:
        return None
    return _reason(ReasonCode.CONFIDENCE, rule.name, f"Confidence {incident.confidence:.2f} is below {least:.2f}.")


def _too_risky(playbook: Playbook, rule: Rule) -> Reason | None:
    risk, highest = playbook.spec.risk, rule.delegation.highest_risk
    if risk <= highest:
        return None
    sentence = f"{playbook.action} is of {risk.word} risk; rule {rule.name} delegates up to {highest.word}."
    return _reason(ReasonCode.RISK, rule.name, sentence)


def _over_budget(incident: Incident, rule: Rule, policy: Policy, history: History, now: datetime) -> Reason | None:
    limits, runs = policy.limits, history.runs
    of_rule = [run for run in runs if run.rule == rule.name]
    on_subject = [run for run in of_rule if run.subject == incident.subject and run.fault == incident.fault]
    checks = (
        (ReasonCode.ERROR_BUDGET, limits.failures, failed(runs), "failed repairs on this endpoint"),
        (ReasonCode.REPEATS, limits.repeats, on_subject, f"repairs of {incident.fault} on {incident.subject}"),
        (ReasonCode.RULE_BUDGET, rule.delegation.budget, of_rule, f"repairs under rule {rule.name}"),
        (ReasonCode.ACTION_BUDGET, limits.actions, runs, "repairs on this endpoint"),
    )
    for code, budget, counted, what in checks:
        if budget is None:
            continue
        used = spent(budget, counted, now)
        if used >= budget.count:
            return _reason(code, rule.name, f"{used} of {budget.count} {what} within {_span(budget)} are used.")
    return None


def _quiet(rule: Rule, policy: Policy, now: datetime) -> Reason | None:
    for name in rule.delegation.quiet_hours:
        if policy.quiet_hours[name].covers(now):
            return _reason(ReasonCode.QUIET_HOURS, rule.name, f"Quiet hours {name} are on.")
    return None


def _span(budget: Budget) -> str:
    seconds = int(budget.period.total_seconds())
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _reason(code: ReasonCode, rule: str, sentence: str) -> Reason:
    return Reason(code, rule, sentence)
