from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_systemd import Container, booted, container_tools

from fakes.systemd import Bus, Unit
from fakes.systemd_jobs import JobbingSystemd
from homeostat_agent.actuator.host import units
from homeostat_agent.actuator.host.port import Missing, ServiceStatus
from homeostat_agent.actuator.host.units import UnitState

WEB = "homeostat-web.service"
WITHIN_S = 20.0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobbingSystemd]:
    bus = Bus(tmp_path)
    bus.start()
    made = JobbingSystemd(bus.address)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        bus.stop()


def state(unit: str = WEB) -> UnitState:
    found = units.read(unit)
    assert isinstance(found, UnitState), found
    return found


@pytest.mark.dbus
@pytest.mark.parametrize(
    ("word", "pid", "status"),
    [
        ("active", 7, ServiceStatus.RUNNING),
        ("reloading", 7, ServiceStatus.RUNNING),
        ("refreshing", 7, ServiceStatus.RUNNING),
        ("inactive", 0, ServiceStatus.DOWN),
        ("failed", 0, ServiceStatus.DOWN),
        ("activating", 7, ServiceStatus.UNKNOWN),
        ("deactivating", 7, ServiceStatus.UNKNOWN),
        ("maintenance", 0, ServiceStatus.UNKNOWN),
    ],
)
def test_a_unit_s_state_is_read(systemd: JobbingSystemd, word: str, pid: int, status: ServiceStatus) -> None:
    systemd.units[WEB] = Unit(active=word, main_pid=pid)
    assert state() == UnitState(status, word, pid)


@pytest.mark.dbus
@pytest.mark.parametrize("load", ["not-found", "masked", "bad-setting"])
def test_a_unit_that_cannot_be_used_is_missing(systemd: JobbingSystemd, load: str) -> None:
    systemd.units[WEB] = Unit(load=load)
    assert units.read(WEB) == Missing(f"{WEB} cannot be used: systemd says {load}.")
    assert not units.start(WEB, WITHIN_S).ok


@pytest.mark.dbus
def test_a_unit_without_a_main_process_cannot_be_watched(systemd: JobbingSystemd) -> None:
    systemd.units[WEB] = Unit(active="active")
    assert isinstance(units.read(WEB), Missing)


@pytest.mark.dbus
def test_start_stop_and_restart_wait_for_their_jobs(systemd: JobbingSystemd) -> None:
    systemd.units[WEB] = Unit()
    assert units.start(WEB, WITHIN_S).ok
    assert state().status is ServiceStatus.RUNNING
    systemd.next_pid = 4243
    assert units.restart(WEB, WITHIN_S).ok
    assert state().main_pid == 4243
    assert units.stop(WEB, WITHIN_S).ok
    assert state().status is ServiceStatus.DOWN


@pytest.mark.dbus
def test_a_unit_that_failed_too_often_is_forgiven_first(systemd: JobbingSystemd) -> None:
    systemd.units[WEB] = Unit(active="failed")
    assert units.start(WEB, WITHIN_S).ok
    assert systemd.asked.index("ResetFailedUnit") < systemd.asked.index("StartUnit")


@pytest.mark.dbus
@pytest.mark.parametrize("outcome", ["failed", "timeout", "canceled", "dependency"])
def test_a_job_that_does_not_end_well_is_a_failure(systemd: JobbingSystemd, outcome: str) -> None:
    systemd.units[WEB] = Unit()
    systemd.outcome = outcome
    result = units.start(WEB, WITHIN_S)
    assert not result.ok
    assert outcome in result.detail


@pytest.mark.dbus
def test_a_job_that_never_ends_is_given_up_at_the_bound(systemd: JobbingSystemd) -> None:
    systemd.units[WEB] = Unit()
    systemd.outcome = ""
    result = units.restart(WEB, 0.1)
    assert (result.ok, result.detail) == (False, f"{WEB}: systemd did not finish within 0.1 s")


@pytest.mark.dbus
def test_what_systemd_refuses_is_said(systemd: JobbingSystemd) -> None:
    assert (
        units.stop("homeostat-nope.service", WITHIN_S).detail
        == "systemd refused: Unit homeostat-nope.service not found."
    )


@pytest.mark.dbus
def test_a_bus_without_systemd_is_no_data(systemd: JobbingSystemd) -> None:
    systemd.stop()
    assert isinstance(units.read(WEB), Missing)


def test_no_bus_is_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nowhere")
    found = units.read(WEB)
    assert isinstance(found, Missing)
    assert "cannot be reached" in found.reason
    assert not units.start(WEB, WITHIN_S).ok


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with booted(tmp_path_factory.mktemp("container")) as made:
        yield made


@pytest.mark.systemd
@container_tools
def test_the_real_systemd_does_the_same(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", container.bus)
    assert isinstance(units.read("homeostat-nope.service"), Missing)
    assert not units.start("homeostat-nope.service", WITHIN_S).ok
    container.service(WEB, "ExecStart=/bin/sleep 1000")
    first = state()
    assert first.status is ServiceStatus.RUNNING
    assert units.start(WEB, WITHIN_S).ok
    assert state() == first
    assert units.restart(WEB, WITHIN_S).ok
    second = state()
    assert (second.status, second.main_pid != first.main_pid) == (ServiceStatus.RUNNING, True)
    assert units.stop(WEB, WITHIN_S).ok
    assert state() == UnitState(ServiceStatus.DOWN, "inactive", 0)


@pytest.mark.systemd
@container_tools
def test_the_real_systemd_starts_again_what_failed_too_often(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", container.bus)
    flapping = "homeostat-flapping.service"
    container.write(
        f"/etc/systemd/system/{flapping}", "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=0\n"
    )
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", flapping, check=False)
    container.run("sh", "-c", f"until systemctl is-failed -q {flapping}; do sleep 0.05; done")
    assert state(flapping) == UnitState(ServiceStatus.DOWN, "failed", 0)
    container.write(f"/etc/systemd/system/{flapping}", "[Service]\nExecStart=/bin/sleep 1000\n")
    container.run("systemctl", "daemon-reload")
    assert units.start(flapping, WITHIN_S).ok
    assert state(flapping).status is ServiceStatus.RUNNING
