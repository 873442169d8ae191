"""What every decider's Host keeps, on the fake and on the real ones.

A World is the machine behind a Host: it can do to the machine what the Host then has to see.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Protocol

import pytest

from fakes import processes
from fakes.host import FakeHost
from homeostat.sample import METRICS
from homeostat_agent.config import AgentConfig, Folder, Program, Service
from homeostat_agent.decider.sensing.linux import LinuxHost
from homeostat_agent.decider.sensing.port import Host, ProcessReading, Reading, ServiceReading, ServiceStatus
from homeostat_agent.decider.sensing.windows import WindowsHost
from homeostat_agent.decider.sensing.windows_services import WindowsService

MIB = 1 << 20
SCRIPT = "/homeostat-contract-burner"


def config(folder: Path) -> AgentConfig:
    return AgentConfig(
        service=(
            Service("web", command=processes.sleeper(), pid_file=str(folder / "web.pid")),
            Service("spare", unit="spare.service"),
        ),
        program=(Program("burner", processes.python("")[0], (SCRIPT,)),),
        folder=(Folder("logs", str(folder / "logs"), ("*.log",), limit_mib=1.0), Folder("disk", str(folder), ("*",))),
    )


class World(Protocol):
    host: Host
    has_units: bool

    def start(self) -> int: ...
    def end(self) -> None: ...
    def stop(self, *, stopped: bool) -> None: ...
    def burn(self) -> int: ...
    def fill(self, size_bytes: int) -> None: ...


class FakeWorld:
    has_units = True

    def __init__(self, folder: Path) -> None:
        self.fake = FakeHost(config(folder))
        self.host: Host = self.fake
        self.fake.fill("logs", 0.0)
        self.fake.end("web")
        self.fake.end("spare")

    def start(self) -> int:
        return self.fake.run("web")

    def end(self) -> None:
        self.fake.end("web")

    def stop(self, *, stopped: bool) -> None:
        self.fake.freeze("web", stopped=stopped)

    def burn(self) -> int:
        return self.fake.burn("burner", 99.0)

    def fill(self, size_bytes: int) -> None:
        self.fake.fill("logs", 100.0 * size_bytes / MIB)


class RealWorld:
    """Real processes and files; `make` gives the Host that looks at them."""

    def __init__(self, folder: Path, stack: ExitStack, make: Callable[[AgentConfig], Host], *, has_units: bool) -> None:
        self.folder = folder
        self.stack = stack
        self.child: subprocess.Popen[bytes] | None = None
        self.has_units = has_units
        (folder / "logs").mkdir()
        self.host = make(config(folder))

    def start(self) -> int:
        self.child = self.stack.enter_context(processes.running(*processes.sleeper()))
        processes.pid_file(self.folder / "web.pid", self.child.pid)
        return self.child.pid

    def end(self) -> None:
        assert self.child is not None
        processes.finish(self.child)

    def stop(self, *, stopped: bool) -> None:
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGSTOP if stopped else signal.SIGCONT)
        wanted = "T" if stopped else "S"
        stat = Path(f"/proc/{self.child.pid}/stat")
        processes.until(lambda: stat.read_text().rpartition(")")[2].split()[0] == wanted, f"state {wanted}")

    def burn(self) -> int:
        burner = self.stack.enter_context(processes.running(*processes.python(processes.BURN, SCRIPT)))
        cmdline = Path(f"/proc/{burner.pid}/cmdline")
        processes.until(lambda: SCRIPT.encode() in cmdline.read_bytes(), "the burner's exec")
        return burner.pid

    def fill(self, size_bytes: int) -> None:
        (self.folder / "logs" / "full.log").write_bytes(b"x" * size_bytes)


@pytest.fixture(params=["fake", "linux", "windows code on psutil"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    now = lambda: datetime.now(UTC)  # noqa: E731  # a clock
    with ExitStack() as stack:
        match request.param:
            case "fake":
                yield FakeWorld(tmp_path)
            case "linux":
                linux: list[LinuxHost] = []

                def make_linux(config: AgentConfig) -> Host:
                    # No bus: what a unit does is told by test_services.py and, on a real systemd, by test_units.py.
                    linux.append(LinuxHost(config, now, bus=f"unix:path={tmp_path}/no-bus"))
                    return linux[0]

                yield RealWorld(tmp_path, stack, make_linux, has_units=False)
                linux[0].close()
            case _:
                windows: list[WindowsHost] = []

                def make_windows(config: AgentConfig) -> Host:
                    windows.append(WindowsHost(config, now, service_of=lambda _: WindowsService("stopped")))
                    return windows[0]

                yield RealWorld(tmp_path, stack, make_windows, has_units=True)
                windows[0].close()


def web(reading: Reading) -> ServiceReading:
    return next(one for one in reading.services if one.name == "web")


def burners(reading: Reading) -> list[ProcessReading]:
    return [one for one in reading.processes if one.program == "burner"]


def read_until(host: Host, condition: Callable[[Reading], bool], what: str) -> Reading:
    """Read until the condition holds: a new process may be found only by the sixth reading's full scan."""
    found: list[Reading] = []

    def look() -> bool:
        found[:] = [host.read()]
        return condition(found[0])

    processes.until(look, what)
    return found[0]


def test_a_sample_holds_known_finite_numbers_and_an_aware_time(world: World) -> None:
    sample = world.host.read().sample
    assert set(sample.values) <= set(METRICS)
    assert all(isfinite(value) for value in sample.values.values())
    assert sample.at.tzinfo is not None


def test_rates_come_with_the_second_reading_and_states_with_the_first(world: World) -> None:
    first = world.host.read().sample.values
    assert {"memory.used", "memory.available", "disk.used.max", "processes.count"} <= set(first)
    assert not {"cpu.busy", "disk.read", "network.received", "clock.step"} & set(first)
    second = read_until(world.host, lambda one: "cpu.busy" in one.sample.values, "a second reading").sample.values
    assert 0 <= second["cpu.busy"] <= 100
    assert 0 < second["memory.used"] <= 100
    assert abs(second["clock.step"]) < 1.0


def test_every_declared_service_is_read_in_the_order_it_was_declared(world: World) -> None:
    assert [one.name for one in world.host.read().services] == ["web", "spare"]


def test_a_service_that_runs_has_a_process_with_a_start_and_memory(world: World) -> None:
    pid = world.start()
    found = web(world.host.read())
    assert (found.status, found.pid, found.stopped, found.answers) == (ServiceStatus.RUNNING, pid, False, None)
    assert found.started > 0
    assert found.memory_bytes > 0
    assert world.host.service("web").pid == pid


def test_a_service_that_ended_is_down_and_one_started_again_is_another_process(world: World) -> None:
    world.start()
    first = web(world.host.read())
    world.end()
    assert web(world.host.read()) == ServiceReading("web", ServiceStatus.DOWN)
    assert world.host.service("web") == ServiceReading("web", ServiceStatus.DOWN)
    pid = world.start()
    second = world.host.service("web")
    assert (second.status, second.pid) == (ServiceStatus.RUNNING, pid)
    assert (second.pid, second.started) != (first.pid, first.started)


def test_a_stopped_service_runs_and_is_stopped_until_it_goes_on(world: World) -> None:
    world.start()
    world.stop(stopped=True)
    assert web(world.host.read()).stopped
    assert web(world.host.read()).status is ServiceStatus.RUNNING
    world.stop(stopped=False)
    assert not web(world.host.read()).stopped


def test_a_unit_that_does_not_run_is_down_or_where_nobody_can_tell_unknown(world: World) -> None:
    wanted = ServiceStatus.DOWN if world.has_units else ServiceStatus.UNKNOWN
    assert world.host.service("spare") == ServiceReading("spare", wanted)


def test_a_service_that_is_not_declared_is_an_error(world: World) -> None:
    with pytest.raises(KeyError):
        world.host.service("nobody")


def test_a_programs_process_has_no_cpu_share_at_first_and_one_after_that(world: World) -> None:
    pid = world.burn()
    first = burners(read_until(world.host, lambda one: bool(burners(one)), "the burner found"))
    assert [(one.pid, one.cpu_percent) for one in first] == [(pid, None)]
    assert first[0].started > 0
    later = burners(read_until(world.host, lambda one: (burners(one)[0].cpu_percent or 0.0) > 10, "CPU used"))
    assert [(one.pid, one.started) for one in later] == [(pid, first[0].started)]
    assert later[0].memory_bytes > 0


def test_a_folder_is_held_against_its_own_limit_or_its_file_system(world: World) -> None:
    before = {one.name: one for one in world.host.read().folders}
    assert before["logs"].used_percent == 0
    assert before["logs"].limit_bytes == MIB
    assert 0 < before["disk"].used_percent <= 100
    world.fill(2 * MIB)
    full = read_until(
        world.host, lambda one: any(f.name == "logs" and f.used_percent > 150 for f in one.folders), "it is full"
    )
    assert next(one for one in full.folders if one.name == "logs").used_bytes >= 2 * MIB


def test_the_machine_says_what_it_is(world: World) -> None:
    facts = dict(world.host.facts())
    assert {"hostname", "os", "architecture"} <= set(facts)
    assert all(facts.values())
    assert world.host.boot_id()
    assert world.host.boot_id() == world.host.boot_id()
