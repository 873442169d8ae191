from collections.abc import Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.decider_stage import NOW, RESTART_IT, Stage, names, of, one, policy
from homeostat.decision import Act, Observe, ReasonCode
from homeostat.diagnosis import FaultClass
from homeostat.evidence import Anomaly
from homeostat.outcome import Ending
from homeostat_agent.decider.effects import (
    Effect,
    RecordClosed,
    RecordDecision,
    RecordNotice,
    RecordOpened,
    RecordOutcome,
    StartHealing,
)
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.pipeline import EVENTS_MAX, WINDOW_SAMPLES_MAX
from homeostat_agent.decider.watching.events import FileChange, FileChanged, FileRole, ProcessExited


def broken_file(stage: Stage, change: FileChange = FileChange.INVALID) -> FileChanged:
    return FileChanged(FileRole.WATCHED, "site.json", "/etc/site.json", change, stage.now, "line 1")


def test_a_crash_is_an_incident_decided_and_being_repaired_in_one_step() -> None:
    stage = Stage()
    stage.tick()
    effects = stage.crash()
    assert names(effects) == ["RecordOpened", "RecordDecision", "RecordRun", "StartHealing"]
    incident = one(effects, RecordOpened).incident
    assert (incident.fault, incident.endpoint_id, dict(incident.labels)) == (
        FaultClass.SERVICE_DOWN,
        "e1",
        {"role": "web"},
    )
    assert isinstance(one(effects, RecordDecision).decision.decision, Act)
    assert one(effects, StartHealing).playbook == "restart"
    assert stage.pipeline.health.word == "healing"


def test_a_healed_incident_is_closed_and_forgotten_so_that_the_next_is_a_new_one() -> None:
    stage = Stage()
    first = one(stage.crash(), StartHealing)
    effects = stage.ended(first)
    assert names(effects) == ["RecordOutcome", "RecordClosed", "ConfirmOutcome"]
    assert one(effects, RecordClosed).how == "healed"
    assert stage.pipeline.health.word == "ok"
    second = one(stage.crash(), StartHealing)
    assert second.incident.id != first.incident.id
    assert second.run_id != first.run_id


def test_what_a_sample_shows_is_found_without_any_event() -> None:
    stage = Stage()
    stage.host.end("web")
    assert one(stage.tick(), StartHealing).incident.fault is FaultClass.SERVICE_DOWN


def test_a_hung_service_is_repaired_from_what_a_sample_shows() -> None:
    stage = Stage()
    stage.host.freeze("web")
    start = one(stage.tick(), StartHealing)
    assert start.incident.fault is FaultClass.SERVICE_HUNG


def test_the_end_of_the_process_that_a_repair_ends_is_no_fault() -> None:
    stage = Stage()
    stage.host.freeze("web")
    start = one(stage.tick(), StartHealing)
    assert stage.crash() == ()
    during = stage.tick()
    assert of(during, RecordOpened) == []
    late = ProcessExited("web", 1, stage.now)
    stage.ended(start)
    assert stage.step(lambda: stage.pipeline.happened(late, stage.now)) == ()
    stage.tick(3)
    assert stage.pipeline.health.word == "ok"


def test_a_real_crash_after_the_repair_is_a_new_incident() -> None:
    stage = Stage()
    stage.ended(one(stage.crash(), StartHealing))
    assert len(of(stage.crash(), RecordOpened)) == 1


def test_an_incident_whose_evidence_goes_away_is_closed_as_recovered() -> None:
    stage = Stage(able=False)
    stage.crash()
    stage.host.run("web")
    stage.tick()
    assert one(stage.tick(), RecordClosed).how == "recovered"


def test_evidence_that_goes_away_during_a_run_waits_for_its_outcome() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    stage.host.run("web")
    assert of(stage.tick(3), RecordClosed) == []
    effects = stage.ended(start, Ending.UNVERIFIED)
    assert one(effects, RecordClosed).how == "recovered"


def test_without_a_policy_it_observes_and_says_so() -> None:
    stage = Stage(policy())
    effects = stage.crash()
    decision = one(effects, RecordDecision).decision
    assert isinstance(decision.decision, Observe)
    assert decision.policy == "none"
    assert of(effects, StartHealing) == []


def test_a_new_policy_decides_about_what_is_open_at_once() -> None:
    stage = Stage(policy())
    stage.crash()
    effects = stage.step(lambda: stage.pipeline.use_policy(policy(RESTART_IT), stage.now))
    assert [type(one.decision.decision) for one in of(effects, RecordDecision)] == [Act]
    assert len(of(effects, StartHealing)) == 1


def test_a_decision_is_told_once_however_often_it_is_made() -> None:
    stage = Stage(policy())
    stage.crash()
    assert of([effect for _ in range(5) for effect in stage.tick()], RecordDecision) == []


def test_whatever_hinders_it_observes_says_so_once_and_goes_on_afterwards() -> None:
    for hindrance in Hindrance:
        stage = Stage()
        said = stage.step(lambda: stage.pipeline.hinder(hindrance, "Something is missing.", stage.now))  # noqa: B023  # called at once, in the same round
        again = stage.step(lambda: stage.pipeline.hinder(hindrance, "Still missing.", stage.now))  # noqa: B023  # called at once, in the same round
        assert [one(said, RecordNotice).code, *again] == [f"observing-{hindrance}"]
        assert of(stage.crash(), StartHealing) == []
        assert (stage.pipeline.health.word, stage.pipeline.health.detail) == ("observing", "Still missing.")
        effects = stage.step(lambda: stage.pipeline.able_again(hindrance, stage.now))  # noqa: B023  # called at once, in the same round
        assert len(of(effects, StartHealing)) == 1


def test_an_anomaly_alone_is_shown_and_never_acted_on() -> None:
    stage = Stage()
    stage.scorer._answers = [Anomaly(0.99, 1e-9)]
    stage.tick(6)
    opened = one(stage.said, RecordOpened).incident
    assert opened.fault is FaultClass.UNEXPLAINED
    assert one(stage.said, RecordDecision).decision.decision.reason.code is ReasonCode.NO_RULE
    assert stage.pipeline.health.word == "ok"


def test_nothing_is_learnt_while_an_incident_is_open() -> None:
    stage = Stage(able=False)
    stage.tick()
    assert len(stage.scorer.learnt) == 1
    stage.crash()
    stage.tick(3)
    assert len(stage.scorer.learnt) == 1


def test_without_a_model_direct_evidence_is_found_all_the_same() -> None:
    stage = Stage()
    stage.pipeline.scorer = None
    stage.host.end("web")
    assert one(stage.tick(), RecordOpened).incident.evidence.anomaly is None


def test_a_broken_file_stays_open_until_it_is_right_again() -> None:
    stage = Stage()
    effects = stage.step(lambda: stage.pipeline.happened(broken_file(stage), stage.now))
    assert one(effects, RecordOpened).incident.fault is FaultClass.CONFIG_BROKEN
    assert of([effect for _ in range(4) for effect in stage.tick()], RecordClosed) == []
    stage.step(lambda: stage.pipeline.happened(broken_file(stage, FileChange.VALID), stage.now))
    stage.tick()
    assert one(stage.tick(), RecordClosed).how == "recovered"


def test_file_events_between_two_samples_are_bounded() -> None:
    stage = Stage()
    for _ in range(EVENTS_MAX + 10):
        stage.pipeline.happened(broken_file(stage, FileChange.CHANGED), stage.now)
    assert len(stage.pipeline._events) == EVENTS_MAX


def test_the_window_is_bounded() -> None:
    stage = Stage()
    stage.tick(WINDOW_SAMPLES_MAX + 5)
    assert len(stage.pipeline._window.samples) == WINDOW_SAMPLES_MAX


def test_an_outcome_that_comes_twice_is_recorded_once() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    stage.ended(start)
    assert names(stage.ended(start)) == ["ConfirmOutcome"]


def test_an_outcome_whose_incident_was_lost_is_told_with_what_is_left_of_it() -> None:
    stage, lost = Stage(), Stage()
    start = one(lost.crash(), StartHealing)
    effects = stage.ended(start)
    assert names(effects) == ["RecordOpened", "RecordOutcome", "ConfirmOutcome", "RecordClosed"]
    left = one(effects, RecordOpened).incident
    assert (left.id, left.subject, left.fault) == (start.incident.id, start.incident.subject, FaultClass.UNEXPLAINED)
    assert one(effects, RecordClosed).how == "healed"
    assert names(stage.ended(start)) == ["ConfirmOutcome"]
    assert one(Stage().ended(start, Ending.FAILED), RecordClosed).how == "superseded"


def test_a_run_that_the_actuator_never_heard_of_is_forgotten_and_decided_anew() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    stage.step(lambda: stage.pipeline.hinder(Hindrance.ACTUATOR, "gone", stage.now))
    effects = stage.step(lambda: stage.pipeline.caught_up(frozenset(), stage.now))
    assert names(effects) == ["ForgetRun"]
    again = one(stage.tick(), StartHealing)
    assert again.run_id != start.run_id
    assert again.incident.id == start.incident.id


def test_a_run_that_goes_on_in_the_actuator_is_waited_for() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    stage.step(lambda: stage.pipeline.hinder(Hindrance.ACTUATOR, "gone", stage.now))
    assert stage.step(lambda: stage.pipeline.caught_up(frozenset({start.run_id}), stage.now)) == ()
    assert stage.pipeline.health.word == "healing"


def test_a_failed_repair_is_not_repeated_at_once_but_told_to_a_person() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    effects = stage.ended(start, Ending.FAILED)
    assert one(effects, RecordDecision).decision.decision.reason.code is ReasonCode.INEFFECTIVE
    assert one(effects, RecordOutcome).outcome.ending is Ending.FAILED
    assert of(stage.tick(), StartHealing) == []
    assert stage.pipeline.health.word == "degraded"


def let_end(stage: Stage, ending: Ending) -> None:
    """Let the run that was asked for last end; a healed one only where the service can be started."""
    started = of(stage.said, StartHealing)
    if started and (ending is not Ending.HEALED or started[-1].incident.fault is not FaultClass.DISK_FULL):
        stage.ended(started[-1], ending)


ACTIONS: dict[str, Callable[[Stage], object]] = {
    "tick": lambda stage: stage.tick(),
    "crash": lambda stage: stage.crash(),
    "freeze": lambda stage: stage.host.freeze("web"),
    "run": lambda stage: stage.host.run("web"),
    "fill": lambda stage: stage.host.fill("cache", 99.0),
    "healed": lambda stage: let_end(stage, Ending.HEALED),
    "failed": lambda stage: let_end(stage, Ending.ROLLED_BACK),
    "hinder": lambda stage: stage.step(lambda: stage.pipeline.hinder(Hindrance.STORE, "full", stage.now)),
    "able": lambda stage: stage.step(lambda: stage.pipeline.able_again(Hindrance.STORE, stage.now)),
    "late": lambda stage: stage.clock.advance(timedelta(minutes=40)),
}
SCRIPTS = st.lists(st.sampled_from(sorted(ACTIONS)), max_size=25)


def play(script: list[str]) -> list[Effect]:
    stage = Stage()
    for word in script:
        ACTIONS[word](stage)
    return stage.said


@given(SCRIPTS)
@settings(max_examples=150, deadline=None)
def test_the_same_inputs_give_the_same_effects_and_one_run_at_a_time(script: list[str]) -> None:
    said = play(script)
    assert said == play(script)
    going: set[str] = set()
    for effect in said:
        if isinstance(effect, StartHealing):
            assert not going
            going.add(effect.run_id)
        elif isinstance(effect, RecordOutcome):
            going.discard(effect.outcome.run_id)
    opened = [effect.incident.id for effect in of(said, RecordOpened)]
    closed = [effect.incident.id for effect in of(said, RecordClosed)]
    assert len(closed) == len(set(closed))
    assert set(closed) <= set(opened)


def test_times_are_the_callers() -> None:
    assert one(Stage().crash(), RecordOpened).incident.opened_at == NOW + timedelta(seconds=1)
