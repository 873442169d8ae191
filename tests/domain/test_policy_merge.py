from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from domain_strategies import moments, policies
from domain_values import NOW, POLICY, RULE
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.policy import Level, Policy, Selector, Waiver
from homeostat.policy_merge import effective

PROD = Selector({"env": ("prod",)})
WAIVER = Waiver("fair", "ops", "The fair.", (RULE.name,), Level.ASK, NOW + timedelta(hours=1))


def levels(policy: Policy, labels: dict[str, str] | None = None, now: datetime = NOW) -> dict[str, Level]:
    return {rule.name: rule.delegation.level for rule in effective(policy, labels or {}, now).rules}


def test_a_plain_policy_stays_as_it_is() -> None:
    assert effective(POLICY, {}, NOW) == POLICY


def test_only_rules_that_select_these_labels_stay() -> None:
    policy = replace(POLICY, rules=(replace(RULE, selector=PROD), replace(RULE, name="other")))
    assert set(levels(policy, {"env": "prod"})) == {RULE.name, "other"}
    assert set(levels(policy, {"env": "test"})) == {"other"}
    assert set(levels(policy)) == {"other"}


def test_a_policy_for_other_endpoints_has_no_rules_here() -> None:
    assert levels(replace(POLICY, selector=PROD), {"env": "test"}) == {}


def test_a_waiver_lowers_the_level_until_it_expires() -> None:
    policy = replace(POLICY, waivers=(WAIVER,))
    assert levels(policy) == {RULE.name: Level.ASK}
    assert levels(policy, now=WAIVER.expires_at - timedelta(microseconds=1)) == {RULE.name: Level.ASK}
    assert levels(policy, now=WAIVER.expires_at) == {RULE.name: Level.ACT}
    assert effective(policy, {}, NOW).waivers == ()


def test_a_waiver_is_for_the_endpoints_it_selects() -> None:
    policy = replace(POLICY, waivers=(replace(WAIVER, selector=PROD),))
    assert levels(policy) == {RULE.name: Level.ACT}
    assert levels(policy, {"env": "prod"}) == {RULE.name: Level.ASK}


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_waivers_the_lowest_counts(order: int) -> None:
    both = (WAIVER, replace(WAIVER, name="freeze", level=Level.SHADOW))
    assert levels(replace(POLICY, waivers=both[::order])) == {RULE.name: Level.SHADOW}


def test_a_waiver_never_raises_a_level() -> None:
    rule = replace(RULE, delegation=replace(RULE.delegation, level=Level.OBSERVE))
    assert levels(replace(POLICY, rules=(rule,), waivers=(WAIVER,))) == {RULE.name: Level.OBSERVE}


def test_past_its_end_a_policy_only_observes() -> None:
    policy = replace(POLICY, not_after=NOW)
    assert levels(policy, now=NOW - timedelta(microseconds=1)) == {RULE.name: Level.ACT}
    assert levels(policy, now=NOW) == {RULE.name: Level.OBSERVE}


@settings(max_examples=40, deadline=None)
@given(policies(), st.dictionaries(st.sampled_from(("env", "role")), st.sampled_from(("prod", "web"))), moments)
def test_nothing_that_is_merged_in_widens_authority(policy: Policy, labels: dict[str, str], now: datetime) -> None:
    before = {rule.name: rule.delegation.level for rule in policy.rules}
    once = effective(policy, labels, now)
    for rule in once.rules:
        assert rule.delegation.level <= before[rule.name]
    assert effective(once, labels, now) == once
    assert effective(policy, labels, now.astimezone(UTC)) == once
