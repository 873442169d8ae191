from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from google.protobuf.message import Message

from fakes.decider_stage import ASK_IT, PLAN, RESTART_IT, Stage, names, of, one, outcome, policy
from homeostat.decision import ReasonCode
from homeostat.wire.outcomes import outcome_to_wire
from homeostat.wire.plans import plan_to_wire
from homeostat.wire.v1 import actuation_pb2, incident_pb2, policy_pb2
from homeostat.wire.values import WireError
from homeostat_agent.decider.actuator_talk import ActuatorTalk
from homeostat_agent.decider.effects import (
    ConfirmOutcome,
    Effects,
    RecordClosed,
    RecordDecision,
    RecordNotice,
    RecordPack,
    RequestProposal,
    StartHealing,
)
from homeostat_agent.decider.health import Hindrance

SIGNED = policy_pb2.Signed(payload=b"policy").SerializeToString()
SHA256 = sha256(b"policy").digest()


@dataclass
class Line:
    """The link's end of the conversation."""

    sent: list[tuple[str, Message]] = field(default_factory=list)

    def send(self, **message: Message) -> bool:
        self.sent += message.items()
        return True


@dataclass
class Talk:
    stage: Stage
    line: Line = field(default_factory=Line)

    def __post_init__(self) -> None:
        self.talk = ActuatorTalk(self.stage.pipeline, self.line)

    def hear(self, **message: Message) -> Effects:
        built = actuation_pb2.ActuatorMessage(**message)  # type: ignore[arg-type]  # one field each
        return self.stage.step(lambda: self.talk.heard(built, self.stage.now))

    def ready(self, *unfinished: str) -> Effects:
        return self.hear(ready=actuation_pb2.Ready(unfinished_runs=unfinished))

    def verdict(self, *, accepted: bool = True, reason: str = "", digest: bytes = SHA256) -> Effects:
        return self.hear(policy_verdict=actuation_pb2.PolicyVerdict(sha256=digest, accepted=accepted, reason=reason))


def test_nothing_begins_before_the_actuator_has_the_policy() -> None:
    talk = Talk(Stage(able=False))
    talk.talk.use_policy(SIGNED)
    talk.stage.crash()
    assert of(talk.ready(), StartHealing) == []
    assert [name for name, _ in talk.line.sent] == ["use_policy", "use_policy"]
    assert len(of(talk.verdict(), StartHealing)) == 1


def test_without_a_policy_there_is_nothing_to_wait_for() -> None:
    talk = Talk(Stage(policy(), able=False))
    talk.ready()
    assert Hindrance.ACTUATOR not in talk.stage.pipeline.hindrances


def test_a_policy_that_the_actuator_refuses_keeps_the_agent_from_acting() -> None:
    talk = Talk(Stage(able=False))
    talk.talk.use_policy(SIGNED)
    talk.ready()
    notice = one(talk.verdict(accepted=False, reason="It is not signed."), RecordNotice)
    assert "It is not signed." in notice.sentence
    assert of(talk.stage.crash(), StartHealing) == []
    talk.talk.use_policy(SIGNED)
    assert len(of(talk.verdict(), StartHealing)) == 1


def test_a_verdict_about_another_policy_is_none() -> None:
    talk = Talk(Stage(able=False))
    talk.talk.use_policy(SIGNED)
    talk.ready()
    assert talk.verdict(digest=b"x" * 32) == ()
    assert Hindrance.ACTUATOR in talk.stage.pipeline.hindrances


def test_a_run_that_goes_on_after_a_new_policy_is_not_lost() -> None:
    talk = Talk(Stage(able=False))
    talk.talk.use_policy(SIGNED)
    talk.ready()
    talk.verdict()
    start = one(talk.stage.crash(), StartHealing)
    talk.talk.use_policy(SIGNED)
    talk.verdict()
    assert talk.stage.pipeline.health.word == "healing"
    healed = talk.hear(outcome=outcome_to_wire(outcome(start, talk.stage.now)))
    assert one(healed, RecordClosed).how == "healed"


def test_when_the_connection_ends_it_observes_until_the_next_verdict() -> None:
    talk = Talk(Stage(able=False))
    talk.talk.use_policy(SIGNED)
    talk.ready()
    talk.verdict()
    start = one(talk.stage.crash(), StartHealing)
    gone = talk.stage.step(lambda: talk.talk.gone("It has ended.", talk.stage.now))
    assert names(gone) == ["RecordNotice"]
    talk.ready(start.run_id)
    assert names(talk.verdict()) == []
    talk.stage.step(lambda: talk.talk.gone("It has ended.", talk.stage.now))
    talk.ready()
    assert "ForgetRun" in names(talk.verdict())


def test_what_is_wanted_is_said() -> None:
    stage = Stage(policy(ASK_IT))
    talk = Talk(stage)
    request = one(stage.crash(), RequestProposal)
    talk.talk.say(request)
    pack = stage.pack_of((request,))
    start = one(stage.grant(pack), StartHealing)
    talk.talk.say(StartHealing(start.run_id, start.incident, start.playbook, SIGNED))
    talk.talk.say(ConfirmOutcome(start.run_id))
    sent = dict(talk.line.sent)
    assert sent["propose"].pack_id == request.pack_id  # type: ignore[attr-defined]  # the kind of message is what the test asserts
    heal = sent["heal"]
    assert isinstance(heal, actuation_pb2.Heal)
    assert (heal.run_id, heal.playbook, heal.grant.payload) == (start.run_id, "restart", b"policy")
    assert sent["outcome_stored"].run_id == start.run_id  # type: ignore[attr-defined]  # the kind of message is what the test asserts


def test_acting_alone_carries_no_grant() -> None:
    stage = Stage()
    talk = Talk(stage)
    talk.talk.say(one(stage.crash(), StartHealing))
    (sent,) = talk.line.sent
    assert not sent[1].HasField("grant")


def test_a_proposal_becomes_a_pack_and_a_refused_one_none() -> None:
    talk = Talk(Stage(policy(ASK_IT)))
    request = one(talk.stage.crash(), RequestProposal)
    proposal = actuation_pb2.Proposal(pack_id=request.pack_id, plan=plan_to_wire(PLAN))
    assert one(talk.hear(proposal=proposal), RecordPack).pack.plan == PLAN
    talk = Talk(Stage(policy(ASK_IT)))
    request = one(talk.stage.crash(), RequestProposal)
    refused = actuation_pb2.Proposal(pack_id=request.pack_id, refusal="It is not there.")
    assert "It is not there." in one(talk.hear(proposal=refused), RecordDecision).decision.decision.reason.sentence


@pytest.mark.parametrize(("code", "told"), [("repeats", [ReasonCode.REPEATS]), ("unreadable", [])])
def test_a_limit_of_the_policy_is_told_from_anything_else(code: str, told: list[ReasonCode]) -> None:
    talk = Talk(Stage(policy(RESTART_IT)))
    start = one(talk.stage.crash(), StartHealing)
    reason = incident_pb2.Reason(code=code, rule="restart-it", sentence="No.")
    effects = talk.hear(heal_refused=actuation_pb2.HealRefused(run_id=start.run_id, reason=reason))
    assert [one.decision.decision.reason.code for one in of(effects, RecordDecision)] == told


def test_progress_of_a_run_is_taken() -> None:
    talk = Talk(Stage())
    assert talk.hear(run_progress=actuation_pb2.RunProgress(run_id="x")) == ()


def test_what_a_later_version_says_is_passed_over() -> None:
    talk = Talk(Stage())
    assert talk.talk.heard(actuation_pb2.ActuatorMessage(), talk.stage.now) == ()


def test_what_is_no_outcome_is_an_error() -> None:
    talk = Talk(Stage())
    with pytest.raises(WireError):
        talk.hear(outcome=incident_pb2.Outcome(run_id="x"))
