"""An incident's way, from what the store holds of it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fixtures_controller import START, add_endpoint, closed, decided, decision, opened, outcome, pack
from fixtures_web import a_run, push_to

from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_controller.api.schemas import Step
from homeostat_controller.api.timeline import STEPS_MAX, steps_of
from homeostat_controller.store import approvals, incidents
from homeostat_controller.store.approvals import Verdict
from homeostat_controller.store.database import Database

Way = Callable[..., list[Step]]


@pytest.fixture
def way(sqlite: Database) -> Way:
    """The steps of inc-2 after some events."""
    add_endpoint(sqlite, "ep-2")

    def of(*events: link_pb2.Event) -> list[Step]:
        push_to(sqlite, "ep-2", *events)
        with sqlite.read() as connection:
            found = incidents.get(connection, "inc-2")
            return steps_of(found, [approvals.get(connection, one) for one in found.packs])

    return of


def told(steps: list[Step]) -> list[tuple[str, str]]:
    return [(one.step, one.state) for one in steps]


def acting(at_s: float = 0) -> link_pb2.Event:
    kind = incident_pb2.DECISION_KIND_ACT
    return link_pb2.Event(decision=decision("inc-2", kind, START + timedelta(seconds=at_s)))


def test_a_repair_that_went_well(way: Way) -> None:
    steps = way(opened("inc-2"), acting(), a_run(), closed("inc-2"))
    assert told(steps) == [
        ("detected", "done"),
        ("decided", "done"),
        ("pre-check", "done"),
        ("acted", "done"),
        ("verified", "done"),
    ]
    assert steps[0].sentence == "service-down on service:web, confidence 1.00"
    assert steps[1].sentence == "act: restart_service is of medium risk."
    assert steps[2].sentence == "it is down; it will run again"
    assert steps[2].details == ["accepted for service:web under rule services"]
    assert steps[4].sentence == "it answers"


@pytest.mark.parametrize(
    ("ending", "stages", "expected"),
    [
        ("refused", ["prechecking"], [("pre-check", "failed")]),
        ("failed", ["prechecking", "acting"], [("pre-check", "done"), ("acted", "failed")]),
        (
            "rolled-back",
            ["prechecking", "acting", "verifying", "rolling-back"],
            [("pre-check", "done"), ("acted", "done"), ("verified", "failed"), ("undone", "done")],
        ),
        (
            "failed",
            ["prechecking", "acting", "verifying", "rolling-back"],
            [("pre-check", "done"), ("acted", "done"), ("verified", "failed"), ("undone", "failed")],
        ),
        (
            "unverified",
            ["prechecking", "acting", "verifying"],
            [("pre-check", "done"), ("acted", "done"), ("verified", "unverified")],
        ),
        ("healed", [], [("acted", "healed")]),
    ],
)
def test_every_ending_is_told_as_it_was(
    way: Way, ending: str, stages: list[str], expected: list[tuple[str, str]]
) -> None:
    number = incident_pb2.Ending.Value("ENDING_" + ending.upper().replace("-", "_"))
    run = outcome("run-2", "inc-2", ending=number)
    del run.outcome.steps[:]
    run.outcome.steps.extend(incident_pb2.RunStep(stage=stage, detail=f"{stage} said") for stage in stages)
    assert told(way(opened("inc-2"), acting(), run))[2:] == expected


def test_a_question_that_waits(way: Way) -> None:
    steps = way(opened("inc-2"), decided("inc-2"), pack("pack-2", "inc-2"))
    assert told(steps) == [
        ("detected", "done"),
        ("decided", "done"),
        ("asked", "waiting"),
        ("pre-check", "skipped"),
        ("acted", "skipped"),
        ("verified", "skipped"),
    ]
    assert steps[2].approval_id == "pack-2"
    assert steps[2].details == ["restart service web"]


@pytest.mark.parametrize(
    ("status", "state", "rest"), [("approved", "done", 3), ("denied", "failed", 0), ("void", "failed", 0)]
)
def test_an_answer(way: Way, sqlite: Database, status: str, state: str, rest: int) -> None:
    way(opened("inc-2"), decided("inc-2"), pack("pack-2", "inc-2"))
    with sqlite.write() as connection:
        approvals.decide(connection, "pack-2", Verdict(status, "kim", "looked at it"), START)
        found = incidents.get(connection, "inc-2")
        steps = steps_of(found, [approvals.get(connection, "pack-2")])
    answered = steps[3]
    assert (answered.step, answered.state, answered.details) == ("answered", state, ["looked at it"])
    assert answered.sentence.endswith("By kim.")
    assert len(steps) == 4 + rest


def test_what_went_away_by_itself(way: Way) -> None:
    assert told(way(opened("inc-2"), closed("inc-2", how="recovered")))[1:] == [("closed", "done")]


def test_a_repair_that_is_under_way(way: Way) -> None:
    assert told(way(opened("inc-2"), acting()))[2:] == [("pre-check", "current")]


def test_decisions_that_repeat_are_told_once(way: Way) -> None:
    same = [acting(second) for second in range(5)]
    assert [one.step for one in way(opened("inc-2"), *same)].count("decided") == 1


def test_the_newest_steps_are_kept(way: Way) -> None:
    events = []
    for second in range(STEPS_MAX + 5):
        event = acting(second)
        event.decision.reason.sentence = f"reason {second}"
        events.append(event)
    steps = way(opened("inc-2"), *events)
    assert len(steps) == STEPS_MAX
    assert steps[-2].sentence == f"act: reason {STEPS_MAX + 4}"
