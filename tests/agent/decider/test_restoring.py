from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.decider_stage import ASK_IT, NOW, RESTART_IT, Stage, names, of, one, outcome, policy
from homeostat.decision import Act, Ask
from homeostat.outcome import Ending
from homeostat.policy import Policy
from homeostat.wire.v1 import incident_pb2
from homeostat_agent.decider.care import Phase
from homeostat_agent.decider.effects import (
    RecordClosed,
    RecordOpened,
    RequestProposal,
    SendReceipt,
    StartHealing,
)
from homeostat_agent.decider.pipeline import Restored
from homeostat_agent.decider.recording import recording
from homeostat_agent.decider.restoring import restore
from homeostat_agent.decider.store.recorder import Recorder, Stores

Keep = Callable[[Stage], Restored]


@pytest.fixture
def restored(tmp_path: Path) -> Keep:
    """Keep all that a stage has said, and return what a decider started afterwards finds."""

    def keep(stage: Stage) -> Restored:
        recorder = Recorder(tmp_path / "decider.db", 1 << 20, lambda: NOW)
        recorder.start()
        try:
            work = recording(tuple(stage.said))
            assert work is not None
            recorder.submit(work).result(30)
            return recorder.submit(lambda stores: restore(stores, stage.now)).result(30)
        finally:
            recorder.stop()

    return keep


def after(before: Stage, found: Restored, decided_by: Policy) -> Stage:
    """Start a new decider on the same machine with what was found."""
    stage = Stage(decided_by, found)
    stage.host, stage.clock.now = before.host, before.now
    return stage


def test_an_open_incident_goes_on_under_its_own_name(restored: Keep) -> None:
    before = Stage(able=False)
    before.crash()
    found = restored(before)
    (care,) = found.cases
    assert isinstance(care.decision, Act)
    stage = after(before, found, policy(RESTART_IT))
    start = one(stage.tick(), StartHealing)
    assert start.incident.id == one(before.said, RecordOpened).incident.id
    assert of(stage.said, RecordOpened) == []


def test_nothing_is_repaired_before_it_was_seen_again(restored: Keep) -> None:
    before = Stage(able=False)
    before.crash()
    found = restored(before)
    stage = after(before, found, policy(RESTART_IT))
    stage.host.run("web")
    stage.tick(2)
    assert of(stage.said, StartHealing) == []
    assert one(stage.said, RecordClosed).how == "recovered"


def test_a_run_that_goes_on_is_waited_for(restored: Keep) -> None:
    before = Stage()
    start = one(before.crash(), StartHealing)
    found = restored(before)
    assert [care.phase for care in found.cases] == [Phase.HEALING]
    stage = after(before, found, policy(RESTART_IT))
    assert of(stage.tick(3), StartHealing) == []
    assert one(stage.ended(start), RecordClosed).how == "healed"


def test_a_run_the_actuator_never_heard_of_is_decided_anew(restored: Keep) -> None:
    before = Stage()
    start = one(before.crash(), StartHealing)
    stage = after(before, restored(before), policy(RESTART_IT))
    assert names(stage.step(lambda: stage.pipeline.caught_up(frozenset(), stage.now))) == ["ForgetRun"]
    assert one(stage.tick(), StartHealing).run_id != start.run_id


def test_a_pack_waits_on_and_its_grant_is_taken(restored: Keep) -> None:
    before = Stage(policy(ASK_IT))
    pack = before.pack()
    found = restored(before)
    (care,) = found.cases
    assert care.phase is Phase.WAITING
    assert isinstance(care.decision, Ask)
    assert care.pack == pack.pack
    stage = after(before, found, policy(ASK_IT))
    assert of(stage.grant(pack), SendReceipt) == []


def test_a_grant_whose_run_goes_on_is_not_refused(restored: Keep) -> None:
    before = Stage(policy(ASK_IT))
    pack = before.pack()
    before.grant(pack)
    stage = after(before, restored(before), policy(ASK_IT))
    assert stage.grant(pack) == ()


def test_a_no_is_remembered(restored: Keep) -> None:
    before = Stage(policy(ASK_IT))
    pack = before.pack()
    before.step(lambda: before.pipeline.denied(pack.pack.id, "ada", "No."))
    stage = after(before, restored(before), policy(ASK_IT))
    assert of(stage.tick(), RequestProposal) == []


def test_budgets_go_on_counting_and_an_outcome_sent_again_counts_once(restored: Keep) -> None:
    before = Stage()
    start = one(before.crash(), StartHealing)
    before.ended(start)
    found = restored(before)
    assert [run.ending for run in found.past.values()] == [Ending.HEALED]
    stage = after(before, found, policy(RESTART_IT))
    assert names(stage.ended(start)) == ["ConfirmOutcome"]


def test_a_repair_that_was_cut_off_is_tried_again_after_a_restart_too(restored: Keep) -> None:
    before = Stage()
    start = one(before.crash(), StartHealing)
    cut_off = replace(outcome(start, before.now, Ending.ROLLED_BACK), restarts=1)
    before.step(lambda: before.pipeline.ended(cut_off, before.now))
    stage = after(before, restored(before), policy(RESTART_IT))
    assert one(stage.tick(), StartHealing).incident.id == start.incident.id


def test_runs_older_than_any_budget_are_left_behind(restored: Keep) -> None:
    before = Stage()
    before.ended(one(before.crash(), StartHealing))
    before.clock.advance(timedelta(days=32))
    assert dict(restored(before).past) == {}


def test_an_incident_that_cannot_be_read_any_more_is_superseded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "decider.db", 1 << 20, lambda: NOW)
    recorder.start()

    def work(stores: Stores) -> Restored:
        damaged = incident_pb2.Incident(id="x", fault="of-a-later-version")
        damaged.opened_at.FromDatetime(NOW)
        stores.incidents.opened(damaged)
        return restore(stores, NOW)

    assert recorder.submit(work).result(30).cases == ()
    assert recorder.submit(lambda stores: stores.incidents.open()).result(30) == ()
    assert recorder.submit(lambda stores: stores.incidents.find("x")).result(30)[0].how == "superseded"
    recorder.stop()
