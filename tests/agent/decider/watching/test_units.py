"""The steps that matter run twice: on a small manager on a private bus, and on a real systemd in a container."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures_systemd import Container, booted, container_tools

from fakes import processes
from fakes.systemd import Bus, FakeSystemd, Unit, systemd_on_a_private_bus
from homeostat_agent.config import Service
from homeostat_agent.decider.sensing.systemd import Systemd
from homeostat_agent.decider.watching import units as module
from homeostat_agent.decider.watching.events import (
    EventQueue,
    UnitChanged,
    WatchEvent,
    WatchInterrupted,
    WatchResumed,
)
from homeostat_agent.decider.watching.units import UnitWatcher

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SERVICES = (Service("web", unit="web.service"), Service("db", unit="db@1.service"), Service("group", command=("/x",)))
RUNS = Unit(active="active", sub="running", main_pid=10)


@contextmanager
def watching(bus: str, services: tuple[Service, ...] = SERVICES) -> Iterator[EventQueue]:
    queue = EventQueue()
    watcher = UnitWatcher(services, queue, lambda: NOW, bus)
    watcher.start()
    try:
        yield queue
    finally:
        watcher.stop()


def unit_event(event: WatchEvent | None) -> tuple[str, str, str, int, str]:
    assert isinstance(event, UnitChanged), event
    return event.service, event.active, event.sub, event.main_pid, event.result


def wait_for(queue: EventQueue, **wanted: object) -> UnitChanged:
    """Take events until one has these fields."""
    found: list[UnitChanged] = []

    def look() -> bool:
        event = queue.get(0.1)
        if isinstance(event, UnitChanged) and all(getattr(event, name) == value for name, value in wanted.items()):
            found.append(event)
        return bool(found)

    processes.until(look, f"an event with {wanted}")
    return found[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Bus, FakeSystemd]]:
    with systemd_on_a_private_bus(tmp_path) as (bus, systemd):
        systemd.units["web.service"] = Unit(**vars(RUNS))
        systemd.units["db@1.service"] = Unit()
        yield bus, systemd


@pytest.mark.dbus
def test_the_present_states_are_told_first_and_then_each_change_once(world: tuple[Bus, FakeSystemd]) -> None:
    bus, systemd = world
    with watching(bus.address) as queue:
        first = {unit_event(queue.get(processes.WAIT_S)) for _ in range(2)}
        assert first == {("web", "active", "running", 10, ""), ("db", "inactive", "dead", 0, "success")}
        systemd.change("web.service", active="activating", sub="auto-restart", main_pid=0)
        assert unit_event(queue.get(processes.WAIT_S)) == ("web", "activating", "auto-restart", 0, "")
        systemd.change("web.service", active="active", sub="running", main_pid=11)
        assert unit_event(queue.get(processes.WAIT_S)) == ("web", "active", "running", 11, "")
        systemd.change("web.service")
        assert queue.get(0.1) is None


@pytest.mark.dbus
def test_a_finished_job_is_looked_at_and_others_units_are_not(world: tuple[Bus, FakeSystemd]) -> None:
    bus, systemd = world
    systemd.units["other.service"] = Unit()
    with watching(bus.address) as queue:
        queue.get(processes.WAIT_S)
        queue.get(processes.WAIT_S)
        systemd.change_quietly("other.service", active="active")
        systemd.change_quietly("web.service", active="failed", sub="failed", main_pid=0, result="exit-code")
        assert unit_event(queue.get(processes.WAIT_S)) == ("web", "failed", "failed", 0, "exit-code")


@pytest.mark.dbus
def test_more_signals_than_may_wait_lose_no_change(world: tuple[Bus, FakeSystemd]) -> None:
    bus, systemd = world
    with watching(bus.address) as queue:
        queue.get(processes.WAIT_S)
        queue.get(processes.WAIT_S)
        for number in range(module.SIGNALS_MAX + 50):
            systemd.change("web.service", main_pid=1000 + number)
        systemd.change("db@1.service", active="active", sub="running", main_pid=77)
        wait_for(queue, service="db", main_pid=77)


@pytest.mark.dbus
def test_a_lost_bus_is_said_once_and_changes_meanwhile_are_told_when_it_is_back(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.start()
    first = FakeSystemd(bus.address)
    first.units["web.service"] = Unit(**vars(RUNS))
    first.start()
    with watching(bus.address, SERVICES[:1]) as queue:
        queue.get(processes.WAIT_S)
        bus.stop()
        first.stop()
        lost = queue.get(processes.WAIT_S)
        assert isinstance(lost, WatchInterrupted)
        assert lost.watcher == "units"
        bus.start()
        second = FakeSystemd(bus.address)
        second.units["web.service"] = Unit(**{**vars(RUNS), "main_pid": 99})
        second.start()
        try:
            told = [queue.get(processes.WAIT_S), queue.get(processes.WAIT_S)]
            assert {type(one) for one in told} == {UnitChanged, WatchResumed}
            assert unit_event(next(one for one in told if isinstance(one, UnitChanged)))[3] == 99
        finally:
            second.stop()
            bus.stop()


@pytest.mark.dbus
def test_a_manager_that_leaves_the_bus_is_an_interruption(world: tuple[Bus, FakeSystemd]) -> None:
    bus, systemd = world
    with watching(bus.address) as queue:
        queue.get(processes.WAIT_S)
        queue.get(processes.WAIT_S)
        systemd.stop()
        assert isinstance(queue.get(processes.WAIT_S), WatchInterrupted)


def test_the_pause_between_tries_grows_to_its_bound(tmp_path: Path) -> None:
    watcher = UnitWatcher(SERVICES, EventQueue(), lambda: NOW, f"unix:path={tmp_path}/none")
    pauses = []
    watcher._wake.wake()  # so that no pause is waited for
    for _ in range(9):
        pauses.append(watcher._pause_s)
        watcher._rest()
    assert pauses[:3] == [module.PAUSE_S_FIRST, module.PAUSE_S_FIRST * 2, module.PAUSE_S_FIRST * 4]
    assert pauses[-1] == module.PAUSE_S_MAX
    watcher.stop()


def test_without_a_bus_it_says_so_once_and_can_be_stopped(tmp_path: Path) -> None:
    with watching(f"unix:path={tmp_path}/none") as queue:
        assert isinstance(queue.get(processes.WAIT_S), WatchInterrupted)
        assert queue.get(0.1) is None


def test_without_declared_units_nothing_begins(tmp_path: Path) -> None:
    with watching(f"unix:path={tmp_path}/none", SERVICES[2:]) as queue:
        assert queue.get(0.1) is None


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with booted(tmp_path_factory.mktemp("container")) as made:
        yield made


@pytest.mark.systemd
@container_tools
def test_a_real_unit_that_was_killed_is_told_with_its_new_main_process(container: Container) -> None:
    container.service("web.service", "ExecStart=/bin/sleep 1000", "Restart=always", "RestartSec=100ms")
    with watching(container.bus, SERVICES[:1]) as queue:
        first = wait_for(queue, service="web", active="active", sub="running")
        assert str(first.main_pid) == container.state("web.service", "MainPID")
        container.run("kill", "-KILL", str(first.main_pid))
        down = wait_for(queue, service="web", main_pid=0)
        assert (down.active, down.sub) == ("activating", "auto-restart")
        again = wait_for(queue, service="web", active="active", sub="running")
        assert again.main_pid not in (0, first.main_pid)
        assert str(again.main_pid) == container.state("web.service", "MainPID")
        container.run("systemctl", "stop", "web.service")
        assert wait_for(queue, service="web", active="inactive").main_pid == 0


@pytest.mark.systemd
@container_tools
def test_a_real_unit_that_fails_is_told_with_its_result(container: Container) -> None:
    container.service("db@1.service", "ExecStart=/bin/sh -c 'sleep 0.2; exit 3'")
    with watching(container.bus, SERVICES[1:2]) as queue:
        failed = wait_for(queue, service="db", active="failed")
        assert (failed.sub, failed.result) == ("failed", "exit-code")


@pytest.mark.systemd
@container_tools
def test_a_real_systemd_that_executes_itself_again_is_still_heard(container: Container) -> None:
    container.service("web.service", "ExecStart=/bin/sleep 1000")
    with watching(container.bus, SERVICES[:1]) as queue:
        first = wait_for(queue, service="web", active="active", sub="running")
        container.run("systemctl", "daemon-reexec")
        container.run("systemctl", "restart", "web.service")
        again = wait_for(
            queue,
            service="web",
            active="active",
            sub="running",
            main_pid=int(container.state("web.service", "MainPID")),
        )
        assert again.main_pid != first.main_pid


@pytest.mark.systemd
@container_tools
def test_a_real_systemd_answers_as_the_small_one_does(container: Container) -> None:
    container.service("web.service", "ExecStart=/bin/sleep 1000")
    container.write("/etc/systemd/system/alias.service", "")
    container.run("rm", "/etc/systemd/system/alias.service")
    container.run("ln", "-s", "web.service", "/etc/systemd/system/alias.service")
    container.run("systemctl", "daemon-reload")
    client = Systemd(container.bus)
    names = ["web.service", "alias.service", "none.service", "template@.service", "dbus.service"]
    found = client.states(names)
    client.close()
    assert set(found) == set(names) - {"template@.service"}
    assert found["web.service"].control_group == "/system.slice/web.service"
    assert found["alias.service"].main_pid == found["web.service"].main_pid > 0
    assert found["none.service"].load == "not-found"
    assert found["dbus.service"].active == "active"
