import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fakes.actuator_rig import until
from fakes.decider_stage import ASK_IT, RESTART_IT, Stage, grant, outcome, policy
from fakes.loop_parts import LoopRig
from homeostat.wire.outcomes import outcome_to_wire
from homeostat.wire.v1 import actuation_pb2, policy_pb2
from homeostat_agent.decider.effects import StartHealing
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.inbox import ActuatorGone, Denied, Granted, NewPolicy, NotStored, Stop
from homeostat_agent.decider.loop import FAILURES_MAX, Impossible
from homeostat_agent.decider.selfcare import TooLarge
from homeostat_agent.decider.store.recorder import Stores
from homeostat_agent.decider.store.spool import SpoolFull
from homeostat_agent.decider.watching.events import FileChange, FileChanged, FileRole, ProcessExited, WatchInterrupted


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[LoopRig]:
    made = LoopRig(tmp_path)
    yield made
    made.close()


def crash(rig: LoopRig, service: str = "web") -> None:
    pid = rig.stage.host.end(service)
    rig.loop.take(ProcessExited(service, pid, rig.stage.now))


def started(rig: LoopRig) -> actuation_pb2.Heal:
    (heal,) = [message for name, message in rig.line.sent if name == "heal"]
    assert isinstance(heal, actuation_pb2.Heal)
    return heal


def test_a_crash_reaches_the_actuator_in_the_step_that_hears_of_it(rig: LoopRig) -> None:
    crash(rig)
    heal = started(rig)
    assert (heal.incident.subject.name, heal.playbook) == ("web", "restart")
    assert rig.controller.states[-1].health == "healing"
    rig.settle(lambda: rig.parts.known.spool is not None)
    assert rig.controller.announced == 1


def test_an_outcome_is_confirmed_only_when_it_is_on_disk(rig: LoopRig) -> None:
    crash(rig)
    heal = started(rig)
    rig.stage.host.run("web")
    told = StartHealing(heal.run_id, rig.stage.pipeline.cases[0].incident, "restart")
    message = outcome_to_wire(outcome(told, rig.stage.now))
    rig.loop.take(actuation_pb2.ActuatorMessage(outcome=message))
    assert "outcome_stored" not in rig.line.names()
    rig.settle(lambda: "outcome_stored" in rig.line.names())
    assert rig.controller.states[-1].health == "ok"


def test_a_restarted_service_is_watched_again_at_once(rig: LoopRig) -> None:
    rig.loop.sample()
    before = rig.watched()
    crash(rig)
    heal = started(rig)
    pid = rig.stage.host.run("web")
    told = StartHealing(heal.run_id, rig.stage.pipeline.cases[0].incident, "restart")
    rig.loop.take(actuation_pb2.ActuatorMessage(outcome=outcome_to_wire(outcome(told, rig.stage.now))))
    assert rig.watched()["web"].pid == pid != before["web"].pid


def test_a_service_that_someone_restarted_by_hand_has_nothing_to_repair(rig: LoopRig) -> None:
    pid = rig.stage.host.run("web")
    rig.loop.take(ProcessExited("web", 1, rig.stage.now))
    assert rig.line.sent == []
    assert rig.watched()["web"].pid == pid


def test_every_sample_sets_what_is_watched_and_tells_the_state(rig: LoopRig) -> None:
    rig.stage.host.end("db")
    rig.loop.sample()
    assert set(rig.watched()) == {"web"}
    assert rig.upkeep.samples == 1
    assert {one.name: one.state for one in rig.controller.states[-1].services} == {"web": "running", "db": "down"}


def test_a_grant_and_a_no_are_answered(tmp_path: Path) -> None:
    rig = LoopRig(tmp_path, Stage(policy(ASK_IT)))
    pack = rig.stage.pack()
    signed = policy_pb2.Signed(payload=b"yes").SerializeToString()
    rig.loop.take(Granted(grant(pack, rig.stage.now), signed))
    assert started(rig).grant.payload == b"yes"
    rig.loop.take(Denied("unknown", "ada", "No."))
    assert [(one.id, one.result) for one in rig.controller.receipts] == [("unknown", "refused")]
    rig.close()


def test_a_new_policy_goes_to_both_halves(rig: LoopRig) -> None:
    rig.loop.take(NewPolicy(policy(RESTART_IT, revision=2), policy_pb2.Signed(payload=b"p").SerializeToString()))
    assert rig.stage.pipeline.policy.revision == 2
    assert rig.line.names() == ["use_policy"]


def test_without_the_actuator_it_observes(rig: LoopRig) -> None:
    rig.loop.take(ActuatorGone("It has ended."))
    crash(rig)
    assert "heal" not in rig.line.names()
    assert rig.controller.states[-1].detail == "It has ended."


def test_what_cannot_be_kept_keeps_it_from_acting_until_it_is_kept(rig: LoopRig) -> None:
    rig.loop.take(NotStored(1, "the disk is gone"))
    assert Hindrance.STORE in rig.stage.pipeline.hindrances
    rig.settle(lambda: Hindrance.STORE not in rig.stage.pipeline.hindrances)


def test_a_full_outbox_keeps_it_from_acting_until_there_is_room(rig: LoopRig) -> None:
    def fill(stores: Stores) -> None:
        with suppress(SpoolFull):
            while True:
                stores.spool.append(bytes(400))

    rig.recorder.submit(fill).result(30)
    crash(rig, "db")
    rig.settle(lambda: Hindrance.STORE in rig.stage.pipeline.hindrances)
    assert "The outbox is full" in rig.stage.pipeline.health.detail
    next_record = rig.recorder.submit(lambda stores: stores.spool.state()).result(30).next
    rig.recorder.submit(lambda stores: stores.spool.acknowledge(next_record)).result(30)
    rig.parts.known.spool = rig.recorder.submit(lambda stores: stores.spool.state()).result(30)
    rig.loop.sample()
    assert Hindrance.STORE not in rig.stage.pipeline.hindrances


def test_events_that_are_not_about_a_subject_go_to_the_upkeep(rig: LoopRig) -> None:
    event = FileChanged(FileRole.MODEL, "m.json", "/m/m.json", FileChange.CHANGED, rig.stage.now)
    rig.loop.take(event)
    rig.loop.take(WatchInterrupted("units", "no bus", rig.stage.now))
    assert rig.upkeep.saw_events == [event]


def test_a_step_that_fails_is_left_behind(rig: LoopRig) -> None:
    rig.upkeep.breaks_with = ValueError("broken")
    rig.loop.sample()
    crash(rig)
    assert started(rig).playbook == "restart"


def test_steps_that_fail_one_after_the_other_end_the_process(rig: LoopRig) -> None:
    rig.upkeep.breaks_with = ValueError("broken")
    for _ in range(FAILURES_MAX - 1):
        rig.loop.sample()
    with pytest.raises(Impossible, match="broken"):
        rig.loop.sample()


def test_an_agent_that_has_grown_too_large_ends(rig: LoopRig) -> None:
    rig.upkeep.breaks_with = TooLarge("600 MiB")
    with pytest.raises(TooLarge):
        rig.loop.sample()


def test_it_samples_when_it_is_time_and_ends_when_it_is_told(rig: LoopRig) -> None:
    thread = threading.Thread(target=rig.loop.run)
    thread.start()
    until("the first sample", lambda: rig.upkeep.samples == 1)
    rig.elapsed_s = 5.0
    rig.inbox.tell(ActuatorGone("wakes it"))
    until("the second sample", lambda: rig.upkeep.samples == 2)
    rig.inbox.tell_now(Stop())
    thread.join(30)
    assert not thread.is_alive()


def test_a_flood_of_events_does_not_hold_up_the_samples(rig: LoopRig) -> None:
    for _ in range(50):
        rig.inbox.tell(ActuatorGone("again"))
    rig.inbox.tell_now(Stop())
    rig.loop.run()
    assert rig.upkeep.samples == 1
