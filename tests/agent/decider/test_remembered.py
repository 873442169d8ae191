from dataclasses import replace

from fakes.decider_stage import NOW, Stage, one, outcome
from homeostat.budget import failed
from homeostat.diagnosis import FaultClass
from homeostat.outcome import Ending
from homeostat_agent.decider.effects import RecordRun, SendReceipt, StartHealing
from homeostat_agent.decider.remembered import RECEIPTS_MAX, RUNS_MAX, PastRuns, Receipts


def test_a_run_counts_from_its_start_and_is_known_to_have_ended() -> None:
    stage = Stage()
    effects = stage.crash()
    start, run = one(effects, StartHealing), one(effects, RecordRun).run
    past = PastRuns()
    past.begun(run.run_id, run.past)
    assert [one.ending for one in past.history.runs] == [None]
    assert not past.has_ended(run.run_id)
    past.ended(outcome(start, NOW, Ending.FAILED))
    assert [(one.ending, one.rule) for one in past.history.runs] == [(Ending.FAILED, "restart-it")]
    assert past.has_ended(run.run_id)
    past.forget(run.run_id)
    assert past.history.runs == ()


def test_a_run_nobody_remembers_counts_by_its_outcome() -> None:
    past = PastRuns()
    past.ended(outcome(one(Stage().crash(), StartHealing), NOW, pack_id="p"))
    (run,) = past.history.runs
    assert (run.fault, run.rule, run.approved) == (FaultClass.UNEXPLAINED, "", True)


def test_a_run_in_which_the_actuator_was_restarted_says_nothing_about_the_repair() -> None:
    past = PastRuns()
    past.ended(replace(outcome(one(Stage().crash(), StartHealing), NOW, Ending.ROLLED_BACK), restarts=1))
    assert failed(past.history.runs) == ()


def test_runs_are_bounded_and_the_oldest_is_forgotten() -> None:
    past = PastRuns()
    run = one(Stage().crash(), RecordRun).run.past
    for n in range(RUNS_MAX + 1):
        past.begun(f"r{n}", run)
    assert len(past.history.runs) == RUNS_MAX
    past.begun("r1", run)
    assert len(past.history.runs) == RUNS_MAX


def test_answers_are_bounded() -> None:
    receipts = Receipts()
    for n in range(RECEIPTS_MAX + 1):
        receipts.answer(f"p{n}", "accepted")
    assert receipts.get("p0") is None
    assert receipts.get("p1") == SendReceipt("p1", "accepted")
