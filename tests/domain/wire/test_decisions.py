from collections.abc import Callable

import pytest
from domain_strategies import decision_records, reasons
from domain_values import NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_checks import comes_back, is_value_or_wire_error, spoilt

from homeostat.decision import Act, Ask, DecisionRecord, Escalate, Observe, Reason, ReasonCode, Shadow
from homeostat.wire import decisions as wire
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError

REASON = Reason(ReasonCode.LEVEL, "restart", "Rule restart is at level shadow.")
BUDGET = Reason(ReasonCode.ACTION_BUDGET, "restart", "6 of 6 repairs are used.")
SHADOW = DecisionRecord("i1", NOW, Shadow(Ask("restart", BUDGET), REASON), "web", 7)


@settings(max_examples=60, deadline=None)
@given(decision_records)
def test_decisions_come_back(record: DecisionRecord) -> None:
    comes_back(record, wire.decision_to_wire, wire.decision_from_wire)


@given(reasons)
def test_reasons_come_back(reason: Reason) -> None:
    comes_back(reason, wire.reason_to_wire, wire.reason_from_wire)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_spoilt_decision_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, wire.decision_to_wire(SHADOW)), wire.decision_from_wire)


def test_a_shadow_decision_tells_both_reasons_and_the_playbook() -> None:
    message = wire.decision_to_wire(SHADOW)
    assert message.kind == incident_pb2.DECISION_KIND_SHADOW
    assert message.would == incident_pb2.DECISION_KIND_ASK
    assert (message.playbook, message.reason.code, message.would_reason.code) == ("restart", "level", "action-budget")


@pytest.mark.parametrize("decision", [Observe(REASON), Escalate(REASON)])
def test_where_nothing_was_chosen_no_playbook_is_named(decision: Observe | Escalate) -> None:
    message = wire.decision_to_wire(DecisionRecord("i1", NOW, decision, "web", 7))
    assert message.playbook == ""
    assert not message.HasField("would_reason")


def kind(number: int) -> Callable[[incident_pb2.Decision], object]:
    return lambda one: setattr(one, "kind", number)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one.ClearField("incident_id"), "incident_id: is missing"),
        (lambda one: one.ClearField("at"), "at: is missing"),
        (lambda one: one.ClearField("reason"), "reason: is missing"),
        (lambda one: one.reason.ClearField("sentence"), "reason.sentence: is missing"),
        (lambda one: setattr(one.reason, "code", "mood"), "reason.code: 'mood' is not known here"),
        (lambda one: one.ClearField("policy"), "policy: is missing"),
        (kind(0), "kind: 0 is not known here"),
        (kind(99), "kind: 99 is not known here"),
        (lambda one: one.ClearField("would_reason"), "would_reason: is missing"),
        (lambda one: setattr(one, "would", 0), "kind: 0 is not known here"),
        (lambda one: setattr(one, "would", 3), "kind: 3 is not known here"),
        (lambda one: setattr(one, "playbook", ""), "playbook: is missing"),
    ],
)
def test_what_is_no_decision(spoil: Callable[[incident_pb2.Decision], object], said: str) -> None:
    message = wire.decision_to_wire(SHADOW)
    spoil(message)
    with pytest.raises(WireError) as caught:
        wire.decision_from_wire(message)
    assert str(caught.value) == said


@pytest.mark.parametrize("decision", [Act("restart", REASON), Ask("restart", REASON)])
def test_what_is_to_be_done_needs_a_playbook(decision: Act | Ask) -> None:
    message = wire.decision_to_wire(DecisionRecord("i1", NOW, decision, "web", 7))
    message.playbook = ""
    with pytest.raises(WireError, match="playbook: is missing"):
        wire.decision_from_wire(message)
