from datetime import timedelta

import pytest

from fakes.decider_stage import (
    ASK_IT,
    CLEAN_IT,
    MANY,
    NOW,
    RESTART_HUNG,
    RESTART_IT,
    Stage,
    grant,
    names,
    of,
    one,
    policy,
)
from homeostat.budget import History
from homeostat.decision import Reason, ReasonCode
from homeostat.diagnosis import FaultClass
from homeostat.evidence import Evidence, Signal, SignalKind
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.policy import Limits, Policy
from homeostat.subject import Subject, SubjectKind
from homeostat_agent.decider.care import HOLD_FIRST, PACK_LIFETIME, Moment, Phase
from homeostat_agent.decider.caseload import OPEN_MAX, QUEUE_MAX, Caseload
from homeostat_agent.decider.effects import (
    ForgetRun,
    RecordClosed,
    RecordDenial,
    RecordNotice,
    RecordOpened,
    RecordRun,
    RequestProposal,
    SendReceipt,
    StartHealing,
)
from homeostat_agent.decider.health import Hindrance


def incident(name: str, fault: FaultClass = FaultClass.SERVICE_DOWN, confidence: float = 1.0) -> Incident:
    about = Subject(SubjectKind.SERVICE, name)
    evidence = Evidence((Signal(SignalKind.SERVICE_EXITED, about, NOW),))
    return Incident(f"i-{name}", "e1", fault, about, confidence, NOW, evidence)


def moment(decided_by: Policy, *, able: bool = True) -> Moment:
    return Moment(NOW, decided_by, History(), iter(f"id-{n}" for n in range(10_000)).__next__, able)


def key(about: Incident) -> tuple[FaultClass, Subject]:
    return about.fault, about.subject


def test_one_run_at_a_time_the_most_urgent_first() -> None:
    stage = Stage(policy(RESTART_IT, CLEAN_IT), able=False)
    stage.host.fill("cache", 99.0)
    stage.tick()
    stage.crash("web")
    stage.host.end("db")
    stage.tick()
    stage.pipeline.hindrances.clear()
    first = one(stage.tick(), StartHealing)
    assert first.incident.fault is FaultClass.SERVICE_DOWN
    second = one(stage.ended(first), StartHealing)
    assert second.incident.subject.name != first.incident.subject.name
    assert second.incident.fault is FaultClass.SERVICE_DOWN
    third = one(stage.ended(second), StartHealing)
    assert third.incident.fault is FaultClass.DISK_FULL


def test_the_queue_is_bounded_and_the_least_urgent_wait_outside_it() -> None:
    cases = Caseload()
    services = [incident(f"s{n}") for n in range(QUEUE_MAX + 5)]
    for about in services:
        cases.open(about, NOW)
    cases.review(moment(policy(RESTART_IT), able=False))
    phases = [care.phase for care in cases.cases]
    assert phases.count(Phase.QUEUED) == QUEUE_MAX
    assert phases.count(Phase.DECIDED) == 5


def test_at_its_bound_no_further_incident_is_taken_in_and_that_is_said_once() -> None:
    cases = Caseload()
    for n in range(OPEN_MAX):
        assert names(cases.open(incident(f"s{n}"), NOW)) == ["RecordOpened"]
    assert one(cases.open(incident("one-more"), NOW), RecordNotice).code == "too-many-incidents"
    assert cases.open(incident("another"), NOW) == ()
    cases.close(key(incident("s0")), NOW)
    assert names(cases.open(incident("one-more"), NOW)) == ["RecordOpened"]


def test_an_incident_there_was_no_room_for_is_found_again() -> None:
    stage = Stage(able=False)
    for n in range(OPEN_MAX):
        stage.pipeline._cases.open(incident(f"s{n}"), NOW)
    assert of(stage.crash(), RecordOpened) == []
    stage.pipeline._cases.close(key(incident("s0")), NOW)
    assert len(of(stage.tick(), RecordOpened)) == 1


def test_two_faults_of_one_subject_are_not_repaired_twice() -> None:
    stage = Stage(able=False)
    stage.host.freeze("web")
    stage.tick()
    stage.crash()
    assert len(of(stage.said, RecordOpened)) == 2
    stage.pipeline.hindrances.clear()
    start = one(stage.tick(), StartHealing)
    assert of(stage.ended(start), StartHealing) == []
    assert of([effect for _ in range(3) for effect in stage.tick()], StartHealing) == []
    assert stage.pipeline.cases == ()


def test_an_incident_that_breaks_is_set_aside_and_the_others_go_on() -> None:
    cases = Caseload()
    cases.open(incident("web"), NOW)
    cases.open(incident("cache", FaultClass.DISK_FULL), NOW)
    broken = policy(RESTART_IT, CLEAN_IT)
    del broken.playbooks["clean"]  # type: ignore[attr-defined]  # a dict underneath; policy_check would not let this by
    effects = cases.review(moment(broken))
    assert one(effects, RecordNotice).code == "incident-set-aside"
    assert one(effects, StartHealing).incident.subject.name == "web"
    assert names(cases.review(moment(broken))) == []


def test_asking_makes_a_proposal_then_a_pack_then_a_run_with_the_grant() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    assert pack.pack.expires_at - pack.pack.created_at == PACK_LIFETIME
    assert pack.pack.decision.reason.code is ReasonCode.LEVEL
    assert pack.pack.undo
    assert stage.pipeline.health.word == "waiting"
    effects = stage.grant(pack)
    assert names(effects) == ["RecordRun", "StartHealing"]
    assert one(effects, StartHealing).grant == b"signed"
    run = one(effects, RecordRun).run
    assert (run.pack_id, run.past.approved) == (pack.pack.id, True)
    assert stage.grant(pack) == ()
    begun = stage.step(lambda: stage.pipeline.progressed(run.run_id))
    assert begun == (SendReceipt(pack.pack.id, "accepted"),)
    assert stage.grant(pack) == begun
    done = stage.ended(one(effects, StartHealing), pack_id=pack.pack.id)
    assert one(done, RecordClosed).how == "healed"
    assert of(done, SendReceipt) == []


def test_an_outcome_answers_for_a_grant_whose_beginning_was_not_heard_of() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    start = one(stage.grant(pack), StartHealing)
    assert one(stage.ended(start, pack_id=pack.pack.id), SendReceipt) == SendReceipt(pack.pack.id, "accepted")


def test_a_grant_that_the_actuator_refuses_makes_a_new_pack_once_the_fault_is_seen_again() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    start = one(stage.grant(pack), StartHealing)
    effects = stage.step(lambda: stage.pipeline.refused(start.run_id, "The endpoint has changed.", stage.now))
    assert one(effects, SendReceipt) == SendReceipt(pack.pack.id, "refused", "The endpoint has changed.")
    assert one(effects, ForgetRun).run_id == start.run_id
    assert not [effect for effect in effects if isinstance(effect, RequestProposal)]
    assert one(stage.tick(), RequestProposal).pack_id != pack.pack.id


def test_nobody_is_asked_about_what_somebody_has_mended_meanwhile() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    start = one(stage.grant(pack), StartHealing)
    stage.host.run("web")
    stage.step(lambda: stage.pipeline.refused(start.run_id, "The endpoint has changed.", stage.now))
    effects = (*stage.tick(), *stage.tick())
    assert not [effect for effect in effects if isinstance(effect, RequestProposal)]
    assert one(effects, RecordClosed).how == "recovered"


def test_a_grant_for_what_is_over_or_unknown_is_refused() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    stage.host.run("web")
    stage.tick(2)
    assert one(stage.grant(pack), SendReceipt).result == "refused"


def test_a_grant_that_waits_when_the_incident_ends_is_answered() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    stage.step(lambda: stage.pipeline.hinder(Hindrance.STORE, "full", stage.now))
    stage.grant(pack)
    stage.host.run("web")
    stage.tick()
    effects = stage.tick()
    assert one(effects, RecordClosed).how == "recovered"
    assert one(effects, SendReceipt).result == "refused"


def test_a_grant_that_comes_too_late_has_expired_and_a_new_pack_is_made() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    stage.clock.advance(PACK_LIFETIME)
    effects = stage.step(lambda: stage.pipeline._cases.granted(grant(pack, stage.now), b"signed", stage.now))
    assert one(effects, SendReceipt).result == "expired"
    assert one(stage.tick(), RequestProposal).pack_id != pack.pack.id


def test_a_no_is_kept_and_nothing_more_is_asked_under_this_policy() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    effects = stage.step(lambda: stage.pipeline.denied(pack.pack.id, "ada", "Not now."))
    assert names(effects) == ["RecordDenial", "SendReceipt"]
    assert one(effects, RecordDenial).by == "ada"
    assert names(stage.tick()) == []
    again = stage.step(lambda: stage.pipeline.denied(pack.pack.id, "ada", "Not now."))
    assert again == (SendReceipt(pack.pack.id, "accepted"),)
    later = stage.step(lambda: stage.pipeline.use_policy(policy(ASK_IT, revision=2), stage.now))
    assert len(of(later, RequestProposal)) == 1


def test_a_no_to_an_unknown_pack_is_answered() -> None:
    stage = Stage()
    effects = stage.step(lambda: stage.pipeline.denied("nothing", "ada", ""))
    assert one(effects, SendReceipt).result == "refused"


def test_a_limit_that_only_the_actuator_knows_of_is_asked_about() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    limit = Reason(ReasonCode.ERROR_BUDGET, "restart-it", "2 of 2 failed repairs are used.")
    effects = stage.step(lambda: stage.pipeline.refused(start.run_id, limit, stage.now))
    assert names(effects) == ["ForgetRun", "RecordDecision", "RequestProposal"]
    pack = stage.propose(one(effects, RequestProposal))
    assert names(pack) == ["RecordPack"]
    assert names(stage.tick()) == []
    stage.clock.advance(HOLD_FIRST)
    assert len(of(stage.tick(), StartHealing)) == 1


def test_what_is_not_known_any_more_is_dropped() -> None:
    stage = Stage()
    assert stage.step(lambda: stage.pipeline.refused("no-run", "no", stage.now)) == ()
    assert stage.step(lambda: stage.pipeline.proposed("no-pack", "no", stage.now)) == ()
    assert stage.step(lambda: stage.pipeline.progressed("no-run")) == ()


@pytest.mark.parametrize("count", [1, 2])
def test_a_spent_budget_turns_acting_into_asking(count: int) -> None:
    limits = Limits(MANY, MANY, type(MANY)(count, timedelta(hours=1)))
    stage = Stage(policy(RESTART_IT, RESTART_HUNG, limits=limits))
    for _ in range(count):
        stage.ended(one(stage.crash(), StartHealing))
    assert names(stage.crash()) == ["RecordOpened", "RecordDecision", "RequestProposal"]


def test_a_repair_asked_about_is_made_alone_when_its_limit_lifts() -> None:
    limits = Limits(MANY, MANY, type(MANY)(1, timedelta(minutes=30)))
    stage = Stage(policy(RESTART_IT, limits=limits))
    stage.ended(one(stage.crash(), StartHealing))
    pack = stage.pack_of(stage.crash())
    assert names(stage.tick()) == []
    stage.clock.advance(timedelta(minutes=31))
    assert len(of(stage.tick(), StartHealing)) == 1
    assert one(stage.grant(pack), SendReceipt).result == "refused"


def test_an_outcome_of_a_run_before_the_present_one_ends_nothing() -> None:
    stage = Stage()
    first = one(stage.crash(), StartHealing)
    stage.step(lambda: stage.pipeline.caught_up(frozenset(), stage.now))
    second = one(stage.tick(), StartHealing)
    assert names(stage.ended(first, Ending.FAILED)) == ["RecordOutcome", "ConfirmOutcome"]
    assert one(stage.ended(second), RecordClosed).how == "healed"
