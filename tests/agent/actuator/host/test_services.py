import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.actuator_rig import end_group, is_running, until
from fakes.systemd import Bus, Unit
from fakes.systemd_jobs import JobbingSystemd
from homeostat.plan import RestartService, StartService, StopService
from homeostat_agent.actuator.host import process_table
from homeostat_agent.actuator.host.port import Missing, ServiceFacts, ServiceQuery, ServiceStatus, StepResult
from homeostat_agent.actuator.host.services import Services
from homeostat_agent.config import Probe, Service

UNIT = Service("db", unit="homeostat-db.service")
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


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(("/bin/sleep", "100015"), stdin=subprocess.DEVNULL)
    yield child
    child.kill()
    child.wait()


def read(services: Services, name: str = "db") -> ServiceFacts:
    found = services.read(ServiceQuery(name))
    assert isinstance(found, ServiceFacts), found
    return found


@pytest.mark.dbus
def test_a_running_unit_is_its_main_process(systemd: JobbingSystemd, sleeper: "subprocess.Popen[bytes]") -> None:
    systemd.units[UNIT.unit] = Unit(active="active", main_pid=sleeper.pid)
    found = read(Services([UNIT]))
    row = process_table.process(sleeper.pid)
    assert row is not None
    assert (found.status, found.pid, found.started) == (ServiceStatus.RUNNING, row.pid, row.started)
    assert found.restarts_itself


@pytest.mark.dbus
def test_a_main_process_that_has_just_ended_is_not_known(
    systemd: JobbingSystemd, sleeper: "subprocess.Popen[bytes]"
) -> None:
    systemd.units[UNIT.unit] = Unit(active="active", main_pid=sleeper.pid)
    sleeper.kill()
    until("its end", lambda: not is_running(sleeper.pid))
    assert read(Services([UNIT])).status is ServiceStatus.UNKNOWN


@pytest.mark.dbus
def test_a_unit_s_steps_are_systemd_s_jobs(systemd: JobbingSystemd) -> None:
    systemd.units[UNIT.unit] = Unit()
    services = Services([UNIT])
    assert read(services).status is ServiceStatus.DOWN
    for step in (StartService("db"), RestartService("db"), StopService("db")):
        assert services.run(step, WITHIN_S).ok
    assert [one for one in systemd.asked if one.endswith("Unit")] == ["StartUnit", "RestartUnit", "StopUnit"]


def test_a_bus_that_is_away_is_no_data_for_units_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nowhere")
    group = Service("web", command=("/bin/sleep", "1"), pid_file=str(tmp_path / "web.pid"))
    services = Services([UNIT, group])
    assert isinstance(services.read(ServiceQuery("db")), Missing)
    assert not services.run(StartService("db"), WITHIN_S).ok
    assert read(services, "web").status is ServiceStatus.DOWN


def test_a_group_is_read_and_recovered(tmp_path: Path) -> None:
    pid_file = tmp_path / "web.pid"
    services = Services([Service("web", command=("/bin/sleep", "100016"), pid_file=str(pid_file))])
    assert services.run(StartService("web"), WITHIN_S).ok
    try:
        before = read(services, "web")
        assert before.status is ServiceStatus.RUNNING
        assert not before.restarts_itself
        pid_file.unlink()
        services.recover()
        assert read(services, "web").pid == before.pid
        os.kill(before.pid, signal.SIGKILL)
        until("the crash", lambda: read(services, "web").status is ServiceStatus.DOWN)
    finally:
        end_group(pid_file)
        services.reap()


def test_a_service_that_is_down_is_not_asked_whether_it_answers(tmp_path: Path) -> None:
    probe = Probe(tcp="127.0.0.1:1")
    services = Services([Service("web", command=("/bin/true",), pid_file=str(tmp_path / "web.pid"), probe=probe)])
    found = services.read(ServiceQuery("web", probe=True))
    assert isinstance(found, ServiceFacts)
    assert (found.probed, found.answers) == (True, None)


def test_units_are_loaded_only_where_one_is_declared(tmp_path: Path) -> None:
    script = (
        "import sys; from homeostat_agent.actuator.host.services import Services;"
        "from homeostat_agent.actuator.host.port import ServiceQuery; from homeostat_agent.config import Service;"
        f"Services([Service('w', command=('/bin/true',), pid_file='{tmp_path}/w')]).read(ServiceQuery('w'));"
        "sys.exit('jeepney' in sys.modules)"
    )
    assert subprocess.run((sys.executable, "-I", "-c", script), check=False).returncode == 0


@pytest.mark.parametrize("step", [StartService("web"), StopService("web"), RestartService("web")])
def test_a_pid_file_that_cannot_be_read_says_nothing_and_nothing_is_done(
    tmp_path: Path, step: StartService | StopService | RestartService
) -> None:
    services = Services([Service("web", command=("/bin/sleep", "100016"), pid_file=str(tmp_path))])
    reason = f"{tmp_path} cannot be read: Is a directory."
    assert services.read(ServiceQuery("web")) == Missing(reason)
    assert services.run(step, WITHIN_S) == StepResult(ok=False, detail=reason)
