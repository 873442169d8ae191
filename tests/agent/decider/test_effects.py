from fakes.decider_stage import ASK_IT, Stage, policy
from homeostat_agent.decider.effects import Record, SendReceipt, StartHealing


def test_effects_are_values() -> None:
    assert Stage().crash() == Stage().crash()


def test_what_is_kept_and_what_is_sent_are_told_apart() -> None:
    stage = Stage(policy(ASK_IT))
    effects = stage.grant(stage.pack())
    assert [isinstance(one, Record) for one in effects] == [True, False]
    assert isinstance(effects[1], StartHealing)
    assert not isinstance(SendReceipt("p", "accepted"), Record)
