import logging

import pytest

from fakes.decider_stage import ASK_IT, NOW, Stage, of, one, policy
from homeostat_agent.decider import effect_log
from homeostat_agent.decider.effects import RecordNotice, RecordOutcome, RecordRun, SendReceipt, StartHealing


def test_each_step_a_person_might_look_for_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(policy(ASK_IT))
    pack = stage.pack()
    start = one(stage.grant(pack), StartHealing)
    stage.ended(start, pack_id=pack.pack.id)
    with caplog.at_level(logging.INFO):
        for effect in (*stage.said, RecordNotice("x", "X.", NOW), SendReceipt("p", "accepted")):
            effect_log.write(effect)
    events = [record.getMessage().split()[0].removeprefix("event=") for record in caplog.records]
    assert events == ["opened", "decided", "asked", "healing", "outcome", "closed", "answered", "notice", "answered"]
    assert one(of(stage.said, RecordOutcome), RecordOutcome).outcome.run_id in caplog.text


def test_what_is_part_of_another_step_has_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        effect_log.write(one(Stage().crash(), RecordRun))
    assert caplog.records == []
