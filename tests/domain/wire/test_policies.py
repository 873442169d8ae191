from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from domain_strategies import policies
from domain_values import ACTING, NOW, POLICY, RULE
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_checks import comes_back, is_value_or_wire_error, spoilt

from homeostat.catalogue import Risk
from homeostat.policy import Budget, Level, Limits, Policy, QuietHours, Selector, Threshold, Waiver
from homeostat.wire import decisions, incidents, outcomes, packs, plans
from homeostat.wire import policies as wire
from homeostat.wire.v1 import incident_pb2, policy_pb2
from homeostat.wire.values import WireError

OLD = Path(__file__).parents[2] / "golden" / "wire" / "v1"
DAY = timedelta(days=1)
FULL = replace(
    POLICY,
    revision=7,
    selector=Selector({"env": ("prod", "test")}),
    rules=(replace(RULE, delegation=replace(ACTING, budget=Budget(1, DAY), quiet_hours=("night",))),),
    quiet_hours={"night": QuietHours("night", 1320, 360, frozenset({1, 7}))},
    thresholds={"disk_used_percent": Threshold("disk_used_percent", 90.0, 80.0, 95.0)},
    waivers=(Waiver("fair", "ops", "The fair.", (RULE.name,), Level.ASK, NOW, Selector({"env": ("prod",)})),),
    not_after=NOW,
)


def message() -> policy_pb2.Policy:
    return wire.policy_to_wire(FULL)


@settings(max_examples=40, deadline=None)
@given(policies())
def test_policies_come_back(policy: Policy) -> None:
    comes_back(policy, wire.policy_to_wire, wire.policy_from_wire)


def test_a_full_policy_comes_back() -> None:
    comes_back(FULL, wire.policy_to_wire, wire.policy_from_wire)


def test_a_policy_has_one_form_whatever_the_order_of_its_sets() -> None:
    first = wire.policy_to_wire(replace(FULL, rules=(replace(RULE, faults=frozenset(sorted(RULE.faults))),)))
    assert list(first.rules[0].faults) == sorted(first.rules[0].faults)
    assert list(message().quiet_hours[0].weekdays) == [1, 7]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_spoilt_policy_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, message()), wire.policy_from_wire)


def test_the_half_of_a_range_is_told_apart_from_zero() -> None:
    half = replace(FULL, thresholds={"x": Threshold("x", 0.0, None, 0.0)})
    comes_back(half, wire.policy_to_wire, wire.policy_from_wire)


def test_risks_come_back() -> None:
    assert [wire.risk_from_wire(wire.risk_to_wire(risk), "risk") for risk in Risk] == list(Risk)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one.ClearField("name"), "name: is missing"),
        (lambda one: one.ClearField("limits"), "limits: is missing"),
        (lambda one: one.limits.ClearField("failures"), "failures: is missing"),
        (lambda one: one.limits.actions.ClearField("period"), "period: is missing"),
        (lambda one: setattr(one.limits.actions.period, "nanos", 2**30), "period: no valid duration"),
        (lambda one: one.selector.matches.add(key="env"), "selector: 'env' is there twice"),
        (lambda one: one.playbooks.add().CopyFrom(one.playbooks[0]), "playbooks: 'restart' is there twice"),
        (lambda one: one.playbooks[0].ClearField("name"), "playbook.name: is missing"),
        (lambda one: one.playbooks[0].ClearField("action"), "playbook.action: is missing"),
        (lambda one: one.playbooks[0].ClearField("settle"), "settle: is missing"),
        (lambda one: one.playbooks[0].ClearField("verify_within"), "verify_within: is missing"),
        (lambda one: one.playbooks[0].parameters.update(a="5 s"), "parameter: '5 s' is not a finite number"),
        (lambda one: one.playbooks[0].parameters.update(a="nan"), "parameter: 'nan' is not a finite number"),
        (lambda one: one.playbooks[0].parameters.update(a="-inf"), "parameter: '-inf' is not a finite number"),
        (lambda one: one.rules[0].ClearField("name"), "rule.name: is missing"),
        (lambda one: one.rules[0].faults.append("tired"), "rule.faults: 'tired' is not known here"),
        (lambda one: one.rules[0].ClearField("delegation"), "delegation: is missing"),
        (lambda one: one.rules[0].delegation.ClearField("level"), "delegation.level: 0 is not known here"),
        (lambda one: setattr(one.rules[0].delegation, "level", 5), "delegation.level: 5 is not known here"),
        (
            lambda one: one.rules[0].delegation.ClearField("highest_risk"),
            "delegation.highest_risk: 0 is not known here",
        ),
        (lambda one: one.rules[0].delegation.budget.ClearField("period"), "period: is missing"),
        (
            lambda one: setattr(one.rules[0].delegation, "least_confidence", float("nan")),
            "delegation.least_confidence: ",
        ),
        (lambda one: one.quiet_hours.add(name="night"), "quiet_hours: 'night' is there twice"),
        (lambda one: one.quiet_hours.add(), "quiet_hours.name: is missing"),
        (lambda one: one.thresholds.add(name="disk_used_percent"), "thresholds: 'disk_used_percent' is there twice"),
        (lambda one: one.thresholds.add(), "threshold.name: is missing"),
        (lambda one: setattr(one.thresholds[0], "value", float("inf")), "threshold.value: is not a finite number"),
        (lambda one: setattr(one.thresholds[0], "at_most", float("inf")), "threshold.at_most: is not a finite number"),
        (lambda one: one.waivers[0].ClearField("name"), "waiver.name: is missing"),
        (lambda one: one.waivers[0].ClearField("level"), "waiver.level: 0 is not known here"),
        (lambda one: one.waivers[0].ClearField("expires_at"), "expires_at: is missing"),
        (lambda one: setattr(one.not_after, "nanos", -1), "not_after: no valid time"),
    ],
)
def test_what_is_no_policy(spoil: Callable[[policy_pb2.Policy], object], said: str) -> None:
    spoiled = message()
    spoil(spoiled)
    with pytest.raises(WireError) as caught:
        wire.policy_from_wire(spoiled)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "policy",
    [
        replace(POLICY, revision=-1),
        replace(POLICY, limits=Limits(actions=Budget(-1, DAY))),
        replace(POLICY, not_after=NOW.replace(tzinfo=None)),
        replace(POLICY, name="\ud800"),
    ],
)
def test_what_does_not_fit_cannot_be_sent(policy: Policy) -> None:
    with pytest.raises(ValueError):  # protobuf's own words
        wire.policy_to_wire(policy)


# What a released agent or controller has sent: it must be understood for ever, with the meaning it had.
READ: dict[str, tuple[type[Message], Callable[[Any], object]]] = {
    "policy": (policy_pb2.Policy, wire.policy_from_wire),
    "incident": (incident_pb2.Incident, incidents.incident_from_wire),
    "decision": (incident_pb2.Decision, decisions.decision_from_wire),
    "pack": (incident_pb2.ExceptionPack, packs.pack_from_wire),
    "plan": (incident_pb2.Plan, plans.plan_from_wire),
    "outcome": (incident_pb2.Outcome, outcomes.outcome_from_wire),
    "grant": (incident_pb2.Grant, packs.grant_from_wire),
}


@pytest.mark.parametrize("path", sorted(OLD.glob("*.binpb")), ids=lambda path: path.stem)
def test_an_old_message_still_means_what_it_meant(path: Path) -> None:
    kind, from_wire = READ[path.stem.partition("-")[0]]
    said = json_format.Parse(path.with_suffix(".json").read_text(encoding="utf-8"), kind())
    assert from_wire(kind.FromString(path.read_bytes())) == from_wire(said)


def test_there_is_an_old_message_of_every_kind() -> None:
    assert {path.stem.partition("-")[0] for path in OLD.glob("*.binpb")} == set(READ)
