"""Policies ⇄ messages. The compiled message is what is signed, sent, stored and decided by."""

from collections.abc import Iterable
from types import MappingProxyType

from homeostat.catalogue import Risk
from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.policy import (
    Budget,
    Delegation,
    Level,
    Limits,
    Policy,
    QuietHours,
    Rule,
    Selector,
    Threshold,
    Waiver,
)
from homeostat.wire import values
from homeostat.wire.v1 import policy_pb2

_LEVELS = MappingProxyType(
    {
        Level.OBSERVE: policy_pb2.DELEGATION_LEVEL_OBSERVE,
        Level.SHADOW: policy_pb2.DELEGATION_LEVEL_SHADOW,
        Level.ASK: policy_pb2.DELEGATION_LEVEL_ASK,
        Level.ACT: policy_pb2.DELEGATION_LEVEL_ACT,
    }
)
_RISKS = MappingProxyType(
    {Risk.LOW: policy_pb2.RISK_LOW, Risk.MEDIUM: policy_pb2.RISK_MEDIUM, Risk.HIGH: policy_pb2.RISK_HIGH}
)
_LEVELS_BY_NUMBER = MappingProxyType({int(number): level for level, number in _LEVELS.items()})
_RISKS_BY_NUMBER = MappingProxyType({int(number): risk for risk, number in _RISKS.items()})


def policy_to_wire(policy: Policy) -> policy_pb2.Policy:
    """Return the message; ValueError for a naive time or a number that does not fit."""
    not_after = policy.not_after
    return policy_pb2.Policy(
        name=policy.name,
        revision=policy.revision,
        semantics=policy.semantics,
        description=policy.description,
        selector=_selector_to_wire(policy.selector),
        priority=policy.priority,
        playbooks=[_playbook_to_wire(one) for one in policy.playbooks.values()],
        rules=[_rule_to_wire(one) for one in policy.rules],
        limits=policy_pb2.Limits(
            actions=_budget_to_wire(policy.limits.actions),
            failures=_budget_to_wire(policy.limits.failures),
            repeats=_budget_to_wire(policy.limits.repeats),
        ),
        quiet_hours=[_quiet_hours_to_wire(one) for one in policy.quiet_hours.values()],
        thresholds=[_threshold_to_wire(one) for one in policy.thresholds.values()],
        waivers=[_waiver_to_wire(one) for one in policy.waivers],
        not_after=values.moment_to_wire(not_after) if not_after is not None else None,
    )


def policy_from_wire(message: policy_pb2.Policy) -> Policy:
    """Return the policy, which `policy_check` has yet to judge; WireError if the message is none."""
    limits = values.part(message, "limits", policy_pb2.Limits)
    return Policy(
        name=values.text(message.name, "name"),
        revision=message.revision,
        semantics=message.semantics,
        description=message.description,
        selector=_selector(message.selector.matches),
        priority=message.priority,
        playbooks=values.unique(((one.name, _playbook(one)) for one in message.playbooks), "playbooks"),
        rules=tuple(_rule(one) for one in message.rules),
        limits=Limits(*(_budget(limits, field) for field in ("actions", "failures", "repeats"))),
        quiet_hours=values.unique(((one.name, _quiet_hours(one)) for one in message.quiet_hours), "quiet_hours"),
        thresholds=values.unique(((one.name, _threshold(one)) for one in message.thresholds), "thresholds"),
        waivers=tuple(_waiver(one) for one in message.waivers),
        not_after=values.optional_moment_from_wire(message, "not_after"),
    )


def risk_to_wire(risk: Risk) -> policy_pb2.Risk.ValueType:
    """Return the enum's number."""
    return _RISKS[risk]


def risk_from_wire(number: int, field: str) -> Risk:
    """Return the risk; WireError for a number that stands for none."""
    return values.member(_RISKS_BY_NUMBER, number, field)


def _selector_to_wire(selector: Selector) -> policy_pb2.Selector:
    matches = [policy_pb2.LabelMatch(key=key, values=one) for key, one in selector.matches.items()]
    return policy_pb2.Selector(matches=matches)


def _selector(matches: Iterable[policy_pb2.LabelMatch]) -> Selector:
    return Selector(values.unique(((one.key, tuple(one.values)) for one in matches), "selector"))


def _playbook_to_wire(playbook: Playbook) -> policy_pb2.Playbook:
    return policy_pb2.Playbook(
        name=playbook.name,
        action=playbook.action,
        parameters={name: repr(float(number)) for name, number in playbook.parameters.items()},
        verifier=playbook.verifier,
        settle=values.duration_to_wire(playbook.settle),
        verify_within=values.duration_to_wire(playbook.verify_within),
    )


def _playbook(message: policy_pb2.Playbook) -> Playbook:
    return Playbook(
        name=values.text(message.name, "playbook.name"),
        action=values.text(message.action, "playbook.action"),
        parameters={name: _parameter(one) for name, one in message.parameters.items()},
        settle=values.duration_from_wire(message, "settle"),
        verify_within=values.duration_from_wire(message, "verify_within"),
        verifier=message.verifier,
    )


def _parameter(written: str) -> float:
    try:
        return values.finite(float(written), "parameter")
    except ValueError:
        raise values.WireError(f"parameter: {written[:60]!r} is not a finite number") from None


def _rule_to_wire(rule: Rule) -> policy_pb2.Rule:
    wanted = rule.delegation
    return policy_pb2.Rule(
        name=rule.name,
        faults=sorted(rule.faults),
        subjects=rule.subjects,
        selector=_selector_to_wire(rule.selector),
        playbooks=rule.playbooks,
        delegation=policy_pb2.Delegation(
            level=_LEVELS[wanted.level],
            least_confidence=wanted.least_confidence,
            highest_risk=_RISKS[wanted.highest_risk],
            budget=_budget_to_wire(wanted.budget) if wanted.budget is not None else None,
            quiet_hours=wanted.quiet_hours,
        ),
    )


def _rule(message: policy_pb2.Rule) -> Rule:
    return Rule(
        name=values.text(message.name, "rule.name"),
        faults=frozenset(values.word(FaultClass, one, "rule.faults") for one in message.faults),
        subjects=tuple(message.subjects),
        playbooks=tuple(message.playbooks),
        delegation=_delegation(values.part(message, "delegation", policy_pb2.Delegation)),
        selector=_selector(message.selector.matches),
    )


def _delegation(message: policy_pb2.Delegation) -> Delegation:
    return Delegation(
        level=values.member(_LEVELS_BY_NUMBER, message.level, "delegation.level"),
        least_confidence=values.finite(message.least_confidence, "delegation.least_confidence"),
        highest_risk=risk_from_wire(message.highest_risk, "delegation.highest_risk"),
        budget=_budget(message, "budget") if message.HasField("budget") else None,
        quiet_hours=tuple(message.quiet_hours),
    )


def _budget_to_wire(budget: Budget) -> policy_pb2.Budget:
    return policy_pb2.Budget(count=budget.count, period=values.duration_to_wire(budget.period))


def _budget(message: policy_pb2.Limits | policy_pb2.Delegation, field: str) -> Budget:
    budget = values.part(message, field, policy_pb2.Budget)
    return Budget(budget.count, values.duration_from_wire(budget, "period"))


def _quiet_hours_to_wire(hours: QuietHours) -> policy_pb2.QuietHours:
    return policy_pb2.QuietHours(
        name=hours.name,
        start_minute=hours.start_minute,
        end_minute=hours.end_minute,
        weekdays=sorted(hours.weekdays),
    )


def _quiet_hours(message: policy_pb2.QuietHours) -> QuietHours:
    name = values.text(message.name, "quiet_hours.name")
    return QuietHours(name, message.start_minute, message.end_minute, frozenset(message.weekdays))


def _threshold_to_wire(threshold: Threshold) -> policy_pb2.Threshold:
    return policy_pb2.Threshold(
        name=threshold.name, value=threshold.value, at_least=threshold.at_least, at_most=threshold.at_most
    )


def _threshold(message: policy_pb2.Threshold) -> Threshold:
    ends = [
        values.finite(getattr(message, field), f"threshold.{field}") if message.HasField(field) else None
        for field in ("at_least", "at_most")
    ]
    return Threshold(
        values.text(message.name, "threshold.name"), values.finite(message.value, "threshold.value"), *ends
    )


def _waiver_to_wire(waiver: Waiver) -> policy_pb2.Waiver:
    return policy_pb2.Waiver(
        name=waiver.name,
        owner=waiver.owner,
        reason=waiver.reason,
        selector=_selector_to_wire(waiver.selector),
        rules=waiver.rules,
        level=_LEVELS[waiver.level],
        expires_at=values.moment_to_wire(waiver.expires_at),
    )


def _waiver(message: policy_pb2.Waiver) -> Waiver:
    return Waiver(
        name=values.text(message.name, "waiver.name"),
        owner=message.owner,
        reason=message.reason,
        rules=tuple(message.rules),
        level=values.member(_LEVELS_BY_NUMBER, message.level, "waiver.level"),
        expires_at=values.moment_from_wire(message, "expires_at"),
        selector=_selector(message.selector.matches),
    )
