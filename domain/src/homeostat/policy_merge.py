"""From a published policy to the effective one of an endpoint at a moment."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from homeostat.policy import Level, Policy, Rule


def effective(policy: Policy, labels: Mapping[str, str], now: datetime) -> Policy:
    """Return `policy` with the rules that select these labels and the unexpired waivers applied.

    Nothing here widens authority: a waiver that would raise a level changes nothing, and of several the lowest counts.
    A policy that does not select these labels has no rules; one past its `not_after` keeps its rules, but none may do
    more than observe.
    """
    if not policy.selector.selects(labels):
        return replace(policy, rules=(), waivers=())
    lowered = _waived(policy, labels, now)
    expired = policy.not_after is not None and now >= policy.not_after
    rules = tuple(
        _at_level(rule, Level.OBSERVE if expired else min(rule.delegation.level, lowered.get(rule.name, Level.ACT)))
        for rule in policy.rules
        if rule.selector.selects(labels)
    )
    return replace(policy, rules=rules, waivers=())


def _waived(policy: Policy, labels: Mapping[str, str], now: datetime) -> dict[str, Level]:
    lowest: dict[str, Level] = {}
    for waiver in policy.waivers:
        if now < waiver.expires_at and waiver.selector.selects(labels):
            for name in waiver.rules:
                lowest[name] = min(waiver.level, lowest.get(name, waiver.level))
    return lowest


def _at_level(rule: Rule, level: Level) -> Rule:
    return replace(rule, delegation=replace(rule.delegation, level=level))
