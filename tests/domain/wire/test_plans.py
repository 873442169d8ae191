from collections.abc import Callable
from dataclasses import replace

import pytest
from domain_strategies import plans, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_checks import comes_back, is_value_or_wire_error, spoilt

from homeostat.plan import EndProcess, Plan, RemoveFile, RestartService, RestoreFile, StartService, Step, StopService
from homeostat.wire import plans as wire
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError

RESTART, STOP = RestartService("web"), StopService("web")
PLAN = Plan((RESTART,), (STOP,), bytes(32), "It answers again.", ("it runs",))
FULL = replace(
    PLAN,
    forward=(EndProcess(7, 8, 9.5), RemoveFile("cache", "a/b", 10, 11), StartService("web")),
    backward=(RestoreFile("cache", "a/b"),),
)


@settings(max_examples=60, deadline=None)
@given(plans)
def test_plans_come_back(plan: Plan) -> None:
    comes_back(plan, wire.plan_to_wire, wire.plan_from_wire)


@given(steps)
def test_steps_come_back(step: Step) -> None:
    comes_back(step, wire.step_to_wire, wire.step_from_wire)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_spoilt_plan_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, wire.plan_to_wire(FULL)), wire.plan_from_wire)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (incident_pb2.Step(), "step: its kind is not known here"),
        (incident_pb2.Step(start_service=incident_pb2.StartService()), "start_service.service: is missing"),
        (incident_pb2.Step(stop_service=incident_pb2.StopService()), "stop_service.service: is missing"),
        (incident_pb2.Step(restart_service=incident_pb2.RestartService()), "restart_service.service: is missing"),
        (incident_pb2.Step(restore_file=incident_pb2.RestoreFile(path="a")), "restore_file.folder: is missing"),
        (incident_pb2.Step(restore_file=incident_pb2.RestoreFile(folder="a")), "restore_file.path: is missing"),
        (incident_pb2.Step(remove_file=incident_pb2.RemoveFile(path="a")), "remove_file.folder: is missing"),
        (incident_pb2.Step(remove_file=incident_pb2.RemoveFile(folder="a")), "remove_file.path: is missing"),
        (incident_pb2.Step(end_process=incident_pb2.EndProcess()), "end_process: names no process"),
        (incident_pb2.Step(end_process=incident_pb2.EndProcess(pid=1)), "end_process: names no process"),
        (incident_pb2.Step(end_process=incident_pb2.EndProcess(pid=2, grace_s=-1)), "end_process: names no process"),
        (
            incident_pb2.Step(end_process=incident_pb2.EndProcess(pid=2, grace_s=float("inf"))),
            "end_process.grace_s: is",
        ),
    ],
)
def test_what_is_no_step(step: incident_pb2.Step, said: str) -> None:
    with pytest.raises(WireError) as caught:
        wire.plan_from_wire(incident_pb2.Plan(forward=[step]))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("step", [EndProcess(-1, 1, 1.0), EndProcess(2, -1, 1.0), RemoveFile("a", "b", -1, 1)])
def test_a_number_that_does_not_fit_cannot_be_sent(step: Step) -> None:
    with pytest.raises(ValueError, match="out of range"):
        wire.step_to_wire(step)


Change = Callable[[Plan], Plan]


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: replace(plan, forward=()),
        lambda plan: replace(plan, backward=()),
        lambda plan: replace(plan, forward=plan.backward, backward=plan.forward),
        lambda plan: replace(plan, forward=(RESTART, STOP), backward=()),
        lambda plan: replace(plan, forward=(StartService("web"),)),
        lambda plan: replace(plan, forward=(RestartService("web2"),)),
        lambda plan: replace(plan, forward=(RESTART, RESTART)),
    ],
)
def test_the_digest_changes_with_what_a_plan_does(change: Change) -> None:
    assert wire.digest(change(PLAN)) != wire.digest(PLAN)


def test_the_digest_is_of_what_a_plan_does_not_of_what_it_says() -> None:
    told = replace(PLAN, expected_effect="Another.", findings=(), state_digest=b"facts")
    assert wire.digest(told) == wire.digest(PLAN)
    assert wire.digest(wire.plan_from_wire(wire.plan_to_wire(PLAN))) == wire.digest(PLAN)


def test_the_digest_of_a_plan_never_changes_between_versions() -> None:
    # An approval in flight outlives an upgrade of either side.
    assert wire.digest(PLAN).hex() == "9522ddf21ed211b24b8ab57b7ea0926a9eb73a1af21471559c5974a950ac512d"
    assert wire.digest(FULL).hex() == "bbf4efe78916e41ce4efff3761b4d6ccaf387e36c9a7ad732903892de7ed5b2e"
