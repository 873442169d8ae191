from datetime import timedelta

import pytest

from fakes.decider_stage import ASK_IT, NOW, PLAN, RESTART_IT, Stage, names, of, one, policy, rule
from homeostat.decision import Escalate, Reason, ReasonCode
from homeostat.diagnosis import FaultClass
from homeostat.outcome import Ending
from homeostat.policy import Level
from homeostat_agent.decider.care import (
    HOLD_FIRST,
    HOLD_MAX,
    PACK_LIFETIME,
    PROPOSAL_WITHIN,
    Hold,
    Phase,
)
from homeostat_agent.decider.effects import RecordDecision, RecordPack, RequestProposal, StartHealing
from homeostat_agent.decider.health import Hindrance


def refuse(stage: Stage) -> timedelta:
    """Let the pre-check refuse the run that goes on; return how long nothing is tried afterwards."""
    stage.ended(of(stage.said, StartHealing)[-1], Ending.REFUSED)
    stage.tick()
    since = stage.now
    while not of(stage.tick(), StartHealing):
        stage.clock.advance(timedelta(seconds=14))
    return stage.now - since


def test_a_refused_repair_is_tried_again_after_pauses_that_grow_up_to_a_bound() -> None:
    stage = Stage()
    stage.crash()
    pauses = [refuse(stage) for _ in range(9)]
    assert HOLD_FIRST - timedelta(seconds=5) <= pauses[0] <= HOLD_FIRST + timedelta(seconds=20)
    assert pauses == sorted(pauses)
    assert pauses[-1] <= HOLD_MAX + timedelta(seconds=20)
    assert pauses[-1] == pauses[-2]


def test_a_pause_ends_when_the_clock_is_set_back() -> None:
    hold = Hold(NOW, NOW + timedelta(minutes=5))
    assert hold.covers(NOW)
    assert not hold.covers(NOW + timedelta(minutes=5))
    assert not hold.covers(NOW - timedelta(days=3650))


def test_a_new_policy_ends_a_pause() -> None:
    stage = Stage()
    stage.ended(one(stage.crash(), StartHealing), Ending.REFUSED)
    stage.tick()
    assert len(
        of(stage.step(lambda: stage.pipeline.use_policy(policy(RESTART_IT, revision=2), stage.now)), StartHealing)
    )


def test_what_cannot_be_proposed_is_told_once_and_tried_again_later() -> None:
    stage = Stage(policy(ASK_IT))
    request = one(stage.crash(), RequestProposal)
    said = one(stage.propose(request, "the configuration test failed"), RecordDecision).decision.decision
    assert isinstance(said, Escalate)
    assert "the configuration test failed" in said.reason.sentence
    assert names(stage.tick()) == []
    stage.clock.advance(HOLD_FIRST)
    again = one(stage.tick(), RequestProposal)
    assert again.pack_id != request.pack_id
    assert of(stage.propose(again, "the configuration test failed"), RecordDecision) == []


def test_a_proposal_that_does_not_come_is_asked_for_again() -> None:
    stage = Stage(policy(ASK_IT))
    request = one(stage.crash(), RequestProposal)
    assert names(stage.tick()) == []
    stage.clock.advance(PROPOSAL_WITHIN)
    assert one(stage.tick(), RequestProposal).pack_id != request.pack_id
    assert stage.propose(request) == ()


def test_nothing_is_asked_while_the_actuator_is_away() -> None:
    stage = Stage(policy(ASK_IT), able=False)
    assert names(stage.crash()) == ["RecordOpened", "RecordDecision"]
    effects = stage.step(lambda: stage.pipeline.able_again(Hindrance.ACTUATOR, stage.now))
    assert names(effects) == ["RequestProposal"]


def test_a_pack_that_has_expired_is_asked_again() -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack().pack
    stage.clock.advance(PACK_LIFETIME - timedelta(seconds=2))
    assert names(stage.tick()) == []
    assert one(stage.tick(), RequestProposal).pack_id != pack.id


def test_a_pack_is_made_anew_under_a_new_policy() -> None:
    stage = Stage(policy(ASK_IT))
    stage.pack()
    effects = stage.step(lambda: stage.pipeline.use_policy(policy(ASK_IT, revision=2), stage.now))
    pack = one(stage.propose(one(effects, RequestProposal)), RecordPack).pack
    assert pack.policy_revision == 2


def test_a_pack_names_what_is_proposed_and_how_it_is_undone() -> None:
    pack = Stage(policy(ASK_IT)).pack().pack
    assert (pack.plan, pack.policy, pack.incident.fault) == (PLAN, "test", FaultClass.SERVICE_DOWN)
    assert pack.undo


@pytest.mark.parametrize(("level", "phase"), [(Level.OBSERVE, Phase.DECIDED), (Level.SHADOW, Phase.DECIDED)])
def test_what_may_not_be_done_is_left_alone(level: Level, phase: Phase) -> None:
    stage = Stage(policy(rule("watch", FaultClass.SERVICE_DOWN, "restart", level)))
    assert names(stage.crash()) == ["RecordOpened", "RecordDecision"]
    assert stage.pipeline.cases[0].phase is phase


def test_a_rule_without_a_playbook_is_told_to_a_person() -> None:
    stage = Stage(policy(rule("call", FaultClass.SERVICE_DOWN, "")))
    decision = one(stage.crash(), RecordDecision).decision.decision
    assert isinstance(decision, Escalate)
    assert decision.reason.code is ReasonCode.NO_PLAYBOOK


def test_a_limit_of_the_actuator_is_told_once_however_often_it_is_met() -> None:
    stage = Stage()
    limit = Reason(ReasonCode.REPEATS, "restart-it", "3 of 3.")
    start = one(stage.crash(), StartHealing)
    told = []
    for _ in range(3):
        told += of(stage.step(lambda: stage.pipeline.refused(start.run_id, limit, stage.now)), RecordDecision)  # noqa: B023  # called at once, in the same round
        stage.clock.advance(HOLD_MAX)
        start = one(stage.tick(), StartHealing)
    assert len(told) == 1


def test_a_repair_waits_for_evidence_newer_than_the_last_one_of_its_subject() -> None:
    stage = Stage()
    start = one(stage.crash(), StartHealing)
    # A person is asked or another playbook is tried, but never on what was seen before.
    stage.ended(start, Ending.REFUSED)
    assert not stage.pipeline.cases[0].confirmed
    stage.tick()
    assert stage.pipeline.cases[0].confirmed
