"""An endpoint heals itself: the whole agent, real processes, real faults, and no controller anywhere."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fakes import actuator_rig
from fakes.actuator_rig import until
from fakes.endpoint_rig import EndpointRig
from homeostat.policy import Budget, Limits
from homeostat.wire.v1 import incident_pb2

HEALED = incident_pb2.ENDING_HEALED
Made = Callable[..., EndpointRig]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Made]:
    rigs: list[EndpointRig] = []

    def make(*services: str, **changes: object) -> EndpointRig:
        rig = EndpointRig(tmp_path / "endpoint", actuator_rig.policy(**changes)).prepare(*services)  # type: ignore[arg-type]  # as the test says
        rigs.append(rig)
        rig.start()
        until("an endpoint that is well", rig.is_well)
        return rig

    yield make
    for rig in rigs:
        rig.clean_up()


def heal(rig: EndpointRig, number: signal.Signals, service: str = "web") -> incident_pb2.Outcome:
    """Do something to a service and return the outcome of what the agent does about it."""
    pid, known = rig.pid(service), len(rig.outcomes())
    os.kill(pid, number)
    rig.runs_anew(service, pid)
    until("the outcome on disk", lambda: len(rig.outcomes()) > known)
    return rig.outcomes()[0]


def test_a_killed_service_is_healed_and_told_without_a_controller(endpoint: Made) -> None:
    rig = endpoint("web")
    # The service was down at the start: that is the first incident, and it was healed.
    assert [one.ending for one in rig.outcomes()] == [HEALED]
    outcome = heal(rig, signal.SIGKILL)
    assert outcome.ending == HEALED
    kinds = [event.WhichOneof("event") for event in rig.events()]
    assert kinds == ["incident_opened", "decision", "outcome", "incident_closed"] * 2
    said = rig.command("why", "last")
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0].endswith("healed")
    assert [line.split()[0] for line in lines[1:]] == ["detected", "decided", "pre-check", "acted", "verified"]
    assert "Rule restart-it delegates restart on service:web." in lines[2]
    assert rig.stop() == 0
    assert rig.actuators() == []
    assert rig.pid("web")


def test_a_service_that_hangs_is_healed(endpoint: Made) -> None:
    rig = endpoint("web")
    outcome = heal(rig, signal.SIGSTOP)
    assert outcome.ending == HEALED
    assert rig.incidents()[0].incident.fault == "service-hung"
    until("an endpoint that is well", rig.is_well)
    assert len(rig.incidents()) == 2


def test_two_services_that_die_together_are_healed_one_after_the_other(endpoint: Made) -> None:
    rig = endpoint("web", "db")
    until("both services", lambda: rig.pid("web") and rig.pid("db"))
    pids = rig.pid("web"), rig.pid("db")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    rig.runs_anew("web", pids[0])
    rig.runs_anew("db", pids[1])
    until("four outcomes", lambda: len(rig.outcomes()) == 4)
    assert {one.ending for one in rig.outcomes()} == {HEALED}


def test_a_spent_budget_leaves_an_exception_pack(endpoint: Made) -> None:
    many = Budget(1000, timedelta(hours=1))
    rig = endpoint("web", limits=Limits(Budget(2, timedelta(hours=1)), many, many))
    heal(rig, signal.SIGKILL)
    os.kill(rig.pid("web"), signal.SIGKILL)
    (pack,) = until("a pack on disk", lambda: rig.entries(incident_pb2.ExceptionPack))
    assert pack.decision.reason.code == "action-budget"
    assert pack.plan.forward[0].start_service.service == "web" or pack.plan.forward
    assert pack.undo
    until("a state that waits", lambda: rig.state().health == "waiting")
    assert rig.command("status").returncode == 3
    assert rig.command("why", "last").returncode == 3


def test_a_killed_decider_finds_its_actuator_and_its_incidents_again(endpoint: Made) -> None:
    rig = endpoint("web")
    (actuator,) = rig.actuators()
    rig.kill()
    pid = rig.pid("web")
    os.kill(pid, signal.SIGKILL)
    rig.start()
    rig.runs_anew("web", pid)
    until("an endpoint that is well", rig.is_well)
    until("the outcome on disk", lambda: len(rig.outcomes()) == 2)
    assert rig.actuators() == [actuator]
    assert [record.how for record in rig.incidents()] == ["healed", "healed"]


def test_a_killed_actuator_is_started_again_and_heals_on(endpoint: Made) -> None:
    rig = endpoint("web")
    (actuator,) = rig.actuators()
    os.kill(actuator, signal.SIGKILL)
    until("a new actuator", lambda: rig.actuators() not in ([], [actuator]))
    assert heal(rig, signal.SIGKILL).ending == HEALED


def test_killed_in_the_middle_of_a_run_nothing_is_done_twice(endpoint: Made) -> None:
    rig = endpoint("web")
    for victim in (rig.kill, lambda: os.kill(rig.actuators()[0], signal.SIGKILL)):
        pid, known = rig.pid("web"), len(rig.outcomes())
        os.kill(pid, signal.SIGKILL)
        victim()
        if rig.process is not None and rig.process.poll() is not None:
            rig.start()
        rig.runs_anew("web", pid)
        until("an outcome", lambda: len(rig.outcomes()) > known)  # noqa: B023  # called at once, in the same round
        until("an endpoint that is well", rig.is_well)
    runs = [one.run_id for one in rig.outcomes()]
    assert len(runs) == len(set(runs))
    told = [event.outcome.run_id for event in rig.events() if event.HasField("outcome")]
    assert sorted(told) == sorted(runs)
