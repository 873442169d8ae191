from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from domain_values import NOW
from hypothesis import given
from hypothesis import strategies as st

from homeostat.healing import (
    RESTARTS_MAX,
    TRANSITIONS,
    Command,
    Done,
    DoneBadly,
    Event,
    NoData,
    Planned,
    Restarted,
    Run,
    Stage,
    TimedOut,
    advance,
)
from homeostat.outcome import Ending
from homeostat.plan import Plan, RestartService, StopService

LATER = NOW + timedelta(minutes=1)
PLAN = Plan((RestartService("web"),), (StopService("web"),), b"", "It answers again.")
FINAL = replace(PLAN, backward=())
NEW = Run("r1", "i1", "restart", Stage.PRECHECKING, NOW)
BAD = DoneBadly("no")
BLIND = NoData("unreadable")

# Stage, event → next stage or ending, and command: the table of the design, written out once more.
EXPECTED = {
    (Stage.PRECHECKING, Planned): (Stage.ACTING, Command.CARRY_OUT_FORWARD),
    (Stage.PRECHECKING, DoneBadly): (Ending.REFUSED, Command.REPORT),
    (Stage.PRECHECKING, TimedOut): (Ending.REFUSED, Command.REPORT),
    (Stage.PRECHECKING, Restarted): (Ending.REFUSED, Command.REPORT),
    (Stage.ACTING, Done): (Stage.VERIFYING, Command.SETTLE_AND_VERIFY),
    (Stage.ACTING, DoneBadly): (Stage.ROLLING_BACK, Command.CARRY_OUT_BACKWARD),
    (Stage.ACTING, TimedOut): (Stage.ROLLING_BACK, Command.CARRY_OUT_BACKWARD),
    (Stage.ACTING, Restarted): (Stage.VERIFYING, Command.SETTLE_AND_VERIFY),
    (Stage.VERIFYING, Done): (Ending.HEALED, Command.REPORT),
    (Stage.VERIFYING, DoneBadly): (Stage.ROLLING_BACK, Command.CARRY_OUT_BACKWARD),
    (Stage.VERIFYING, NoData): (Ending.UNVERIFIED, Command.REPORT),
    (Stage.VERIFYING, TimedOut): (Stage.ROLLING_BACK, Command.CARRY_OUT_BACKWARD),
    (Stage.VERIFYING, Restarted): (Stage.VERIFYING, Command.SETTLE_AND_VERIFY),
    (Stage.ROLLING_BACK, Done): (Ending.ROLLED_BACK, Command.REPORT),
    (Stage.ROLLING_BACK, DoneBadly): (Ending.FAILED, Command.REPORT),
    (Stage.ROLLING_BACK, TimedOut): (Ending.FAILED, Command.REPORT),
    (Stage.ROLLING_BACK, Restarted): (Stage.ROLLING_BACK, Command.CARRY_OUT_BACKWARD),
}
EVENTS: dict[type[Event], Event] = {
    Planned: Planned(PLAN),
    Done: Done("done"),
    DoneBadly: BAD,
    NoData: BLIND,
    TimedOut: TimedOut(),
    Restarted: Restarted(),
}


def at(stage: Stage, plan: Plan = PLAN) -> Run:
    return NEW if stage is Stage.PRECHECKING else replace(NEW, stage=stage, plan=plan)


def test_the_table_has_exactly_these_rows() -> None:
    assert set(TRANSITIONS) == set(EXPECTED)


@pytest.mark.parametrize(("stage", "kind"), EXPECTED)
def test_each_row(stage: Stage, kind: type[Event]) -> None:
    run, command = advance(at(stage), EVENTS[kind], LATER)
    target, expected = EXPECTED[(stage, kind)]
    assert command is expected
    assert (run.ending or run.stage) == target
    assert (run.stage is Stage.ENDED) is (run.ending is not None)
    assert run.deadline == LATER
    assert run.restarts == (kind is Restarted)


@pytest.mark.parametrize(("stage", "kind"), [pair for pair in product(Stage, EVENTS) if pair not in EXPECTED], ids=str)
def test_what_has_no_row_is_a_bug_of_the_caller(stage: Stage, kind: type[Event]) -> None:
    with pytest.raises(ValueError, match=f"a run in {stage} cannot take {kind.__name__}"):
        advance(at(stage), EVENTS[kind], LATER)


@pytest.mark.parametrize(
    ("stage", "event"),
    [(stage, event) for stage, event in product((Stage.ACTING, Stage.VERIFYING), (BAD, TimedOut()))],
)
def test_where_there_is_nothing_to_undo_the_run_has_failed(stage: Stage, event: Event) -> None:
    run, command = advance(at(stage, FINAL), event, LATER)
    assert (run.ending, command) == (Ending.FAILED, Command.REPORT)
    assert run.reason in ("no", "ran out of time")


def test_a_plan_is_kept_from_the_moment_it_was_made() -> None:
    run, _ = advance(NEW, Planned(PLAN), LATER)
    assert run.plan == PLAN
    assert advance(run, Done(), LATER)[0].plan == PLAN


def test_the_reason_is_the_last_that_was_given() -> None:
    run, _ = advance(at(Stage.VERIFYING), DoneBadly("still down"), LATER)
    assert run.reason == "still down"
    assert advance(run, Done(), LATER)[0].reason == "still down"
    assert advance(run, Restarted(), LATER)[0].reason == "still down"
    assert advance(run, DoneBadly("stuck"), LATER)[0].reason == "stuck"
    assert advance(at(Stage.VERIFYING), Done("answers"), LATER)[0].reason == "answers"
    assert advance(at(Stage.VERIFYING), BLIND, LATER)[0].reason == "unreadable"


def test_a_run_is_resumed_up_to_the_bound_and_then_settled() -> None:
    for stage in (Stage.VERIFYING, Stage.ROLLING_BACK):
        run = at(stage)
        for count in range(1, RESTARTS_MAX + 1):
            run, _ = advance(run, Restarted(), LATER)
            assert (run.stage, run.restarts) == (stage, count)
        run, command = advance(run, Restarted(), LATER)
        assert (run.ending, command) == (Ending.FAILED, Command.REPORT)
        assert run.reason == f"cut off {RESTARTS_MAX + 1} times"


# Four stages, and at most RESTARTS_MAX + 1 restarts among them.
EVENTS_MAX = 4 + RESTARTS_MAX + 1


@given(st.data(), st.sampled_from((PLAN, FINAL)))
def test_advance_always_ends_whatever_comes(data: st.DataObject, plan: Plan) -> None:
    run, command = NEW, Command.PRECHECK
    for _ in range(EVENTS_MAX):
        kinds = [kind for stage, kind in TRANSITIONS if stage is run.stage]
        kind = data.draw(st.sampled_from(kinds))
        run, command = advance(run, Planned(plan) if kind is Planned else EVENTS[kind], LATER)
        if run.ending is not None:
            break
    assert run.stage is Stage.ENDED
    assert command is Command.REPORT
    # Nothing counts as healed or undone that was not seen to be so.
    assert run.ending is not Ending.ROLLED_BACK or plan.backward


def test_the_table_without_restarts_has_no_way_back() -> None:
    order = list(Stage)
    for (stage, kind), row in TRANSITIONS.items():
        if kind is not Restarted:
            assert order.index(row.stage) > order.index(stage)
