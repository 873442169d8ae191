from collections.abc import Callable

import pytest
from domain_strategies import outcomes, run_steps
from domain_values import NOW, WEB
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_checks import comes_back, is_value_or_wire_error, spoilt

from homeostat.outcome import Ending, Outcome, RunStep
from homeostat.wire import outcomes as wire
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError

STEP = RunStep("acting", NOW, "restarted")
OUTCOME = Outcome("r1", "i1", "restart", "restart_service", WEB, Ending.HEALED, "answers", NOW, NOW, (STEP,), "p1", 2)


@settings(max_examples=60, deadline=None)
@given(outcomes)
def test_outcomes_come_back(outcome: Outcome) -> None:
    comes_back(outcome, wire.outcome_to_wire, wire.outcome_from_wire)


@given(run_steps)
def test_lines_of_a_record_come_back(step: RunStep) -> None:
    comes_back(step, wire.run_step_to_wire, wire.run_step_from_wire)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_spoilt_outcome_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, wire.outcome_to_wire(OUTCOME)), wire.outcome_from_wire)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one.ClearField("run_id"), "run_id: is missing"),
        (lambda one: one.ClearField("incident_id"), "incident_id: is missing"),
        (lambda one: one.ClearField("playbook"), "playbook: is missing"),
        (lambda one: one.ClearField("subject"), "subject: is missing"),
        (lambda one: setattr(one, "ending", 0), "ending: 0 is not known here"),
        (lambda one: setattr(one, "ending", 6), "ending: 6 is not known here"),
        (lambda one: one.ClearField("started_at"), "started_at: is missing"),
        (lambda one: one.ClearField("ended_at"), "ended_at: is missing"),
        (lambda one: one.steps[0].ClearField("stage"), "stage: is missing"),
        (lambda one: one.steps[0].ClearField("at"), "at: is missing"),
    ],
)
def test_what_is_no_outcome(spoil: Callable[[incident_pb2.Outcome], object], said: str) -> None:
    message = wire.outcome_to_wire(OUTCOME)
    spoil(message)
    with pytest.raises(WireError) as caught:
        wire.outcome_from_wire(message)
    assert str(caught.value) == said
