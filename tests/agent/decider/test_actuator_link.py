import os
import queue
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import actuator_rig
from fakes.actuator_rig import Rig, is_running, until
from homeostat.wire.v1 import actuation_pb2
from homeostat_agent.decider.actuator_child import PAUSE_S_MAX, ActuatorChild
from homeostat_agent.decider.actuator_link import ActuatorLink

Told = queue.SimpleQueue[actuation_pb2.ActuatorMessage]


class Line:
    """A link, and what came over it."""

    def __init__(self, rig: Rig) -> None:
        self.told: Told = queue.SimpleQueue()
        self.gone: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.link = ActuatorLink(rig.config, rig.config_path, self.told.put, self.gone.put)

    def hear(self, kind: str) -> actuation_pb2.ActuatorMessage:
        while True:
            message = self.told.get(timeout=30)
            if message.WhichOneof("message") == kind:
                return message


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "endpoint").prepare()
    yield made
    made.clean_up()


@pytest.fixture
def child(rig: Rig) -> Rig:
    """A rig whose actuator the decider starts."""
    text = rig.config_path.read_text()
    rig.config_path.write_text(text.replace("[actuator]\n", '[actuator]\nstart = "child"\n'))
    return rig


def test_an_actuator_that_is_not_there_is_started_and_ended_with_the_link(child: Rig) -> None:
    line = Line(child)
    assert not line.link.send(outcome_stored=actuation_pb2.OutcomeStored(run_id="x"))
    line.link.start()
    line.hear("ready")
    pid = line.link.peer_pid
    assert is_running(pid)
    line.link.stop()
    assert not is_running(pid)
    assert line.link.peer_pid == 0


def test_messages_go_both_ways(child: Rig) -> None:
    line = Line(child)
    line.link.start()
    line.hear("ready")
    signed = child.signer.policy(actuator_rig.policy())
    assert line.link.send(use_policy=actuation_pb2.UsePolicy(signed=signed))
    assert line.hear("policy_verdict").policy_verdict.accepted
    line.link.stop()


def test_one_that_dies_is_started_again(child: Rig) -> None:
    line = Line(child)
    line.link.start()
    line.hear("ready")
    before = line.link.peer_pid
    os.kill(before, signal.SIGKILL)
    assert "actuator" in line.gone.get(timeout=30)
    line.hear("ready")
    assert line.link.peer_pid not in (0, before)
    line.link.stop()


def test_one_that_runs_already_is_found_and_no_second_is_started(child: Rig) -> None:
    child.start()
    assert child.process is not None
    line = Line(child)
    line.link.start()
    line.hear("ready")
    assert line.link.peer_pid == child.process.pid
    line.link.stop()
    assert child.process.wait(30) == 0


def test_a_service_is_neither_started_nor_ended_but_waited_for(rig: Rig) -> None:
    line = Line(rig)
    line.link.start()
    assert "does not answer" in line.gone.get(timeout=30)
    rig.start()
    line.hear("ready")
    line.link.stop()
    assert rig.process is not None
    assert rig.process.poll() is None


def test_one_that_fails_at_once_is_started_with_growing_pauses(tmp_path: Path) -> None:
    child = ActuatorChild(tmp_path / "none.toml")
    for _ in range(12):
        child._started_at = -PAUSE_S_MAX
        child.start_if_needed()
        assert child._process is not None
        until("the end of the child", lambda: child._process is None or child._process.poll() is not None)
        child.reap()
    assert child._pause_s == PAUSE_S_MAX
    child.start_if_needed()
    assert child._process is None
    child.stop()
