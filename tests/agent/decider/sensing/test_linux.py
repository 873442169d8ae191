import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures_systemd import Container, booted, container_tools

from fakes import processes
from fakes.systemd import FakeSystemd, Unit, systemd_on_a_private_bus
from homeostat.sample import METRICS
from homeostat_agent.config import AgentConfig, Probe, Service
from homeostat_agent.decider.sensing.linux import LinuxHost
from homeostat_agent.decider.sensing.port import ServiceStatus

NOW = datetime(2027, 1, 1, tzinfo=UTC)
# What not every machine has: swap, and pressure where the kernel was built without it.
MAY_BE_ABSENT = {"swap.used", *(name for name in METRICS if name.startswith("psi."))}


@pytest.fixture
def host() -> Iterator[LinuxHost]:
    made = LinuxHost(AgentConfig(), lambda: NOW)
    yield made
    made.close()


def test_every_metric_of_the_catalogue_is_read_on_linux(host: LinuxHost) -> None:
    host.read()
    processes.until(lambda: "cpu.busy" in host.read().sample.values, "a tick of the kernel's clock")
    values = host.read().sample.values
    missing = set(METRICS) - set(values) - MAY_BE_ABSENT
    assert missing <= {"cpu.busy", "cpu.iowait"}  # absent when less than a tick has passed
    if Path("/proc/pressure/memory").exists():
        assert "psi.memory.full" in values


def test_the_sample_is_of_the_time_that_the_clock_says(host: LinuxHost) -> None:
    assert host.read().sample.at == NOW


def test_the_fullest_file_system_is_named(host: LinuxHost) -> None:
    found = host.read()
    assert Path(found.disk_fullest).is_dir()
    assert 0 < found.sample.values["disk.used.max"] <= 100


def test_a_machine_of_which_nothing_can_be_read_gives_an_empty_sample(tmp_path: Path) -> None:
    host = LinuxHost(AgentConfig(), lambda: NOW, proc=tmp_path)
    host.read()
    assert set(host.read().sample.values) <= {"clock.step", "processes.count", "processes.zombie"}
    assert host.boot_id() == ""
    host.close()


def test_a_probe_is_answered_for_a_later_reading(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as child:
        probe = Probe(tcp="127.0.0.1:1", timeout_s=5.0)
        path = processes.pid_file(tmp_path / "pid", child.pid)
        host = LinuxHost(
            AgentConfig(service=(Service("web", command=("/x",), pid_file=path, probe=probe),)), lambda: NOW
        )
        assert host.read().services[0].answers is None
        processes.until(lambda: host.read().services[0].answers is False, "the probe's answer")
        host.close()


@pytest.mark.dbus
def test_units_are_read_over_the_bus(tmp_path: Path) -> None:
    config = AgentConfig(service=(Service("web", unit="web.service"), Service("db", unit="db.service")))
    with systemd_on_a_private_bus(tmp_path) as (bus, systemd), processes.running(*processes.sleeper()) as main:
        manager: FakeSystemd = systemd
        manager.units["web.service"] = Unit(active="active", sub="running", main_pid=main.pid)
        manager.units["db.service"] = Unit(active="failed", sub="failed")
        host = LinuxHost(config, lambda: NOW, bus=bus.address)
        web, db = host.read().services
        assert (web.status, web.pid) == (ServiceStatus.RUNNING, main.pid)
        assert web.memory_bytes > 0
        assert db.status is ServiceStatus.FAILED
        manager.units["web.service"] = Unit()
        assert host.service("web").status is ServiceStatus.DOWN
        host.close()


@pytest.mark.systemd
@container_tools
@pytest.mark.skipif(sys.base_prefix == "/usr", reason="the container has a /usr of its own")
def test_units_of_a_real_systemd_are_read_from_inside(tmp_path: Path) -> None:
    seen = {Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[4]}
    with booted(tmp_path, read_only=tuple(seen)) as container:
        container.service("web.service", "ExecStart=/bin/sh -c 'sleep 1000 & sleep 1000; true'")
        container.service("db.service", "ExecStart=/bin/false")
        before = inside(container)
        web = before["services"]["web"]
        assert web["status"] == "running"
        assert str(web["pid"]) == container.state("web.service", "MainPID")
        assert web["memory_bytes"] > 1_000_000  # both shells' and sleeps' pages, whatever controllers there are
        assert before["services"]["db"]["status"] == "failed"
        assert before["services"]["none"]["status"] == "unknown"
        assert before["facts"]["os"] == "Debian GNU/Linux"
        assert before["sample"]["memory.used"] > 0
        container.run("kill", "-STOP", str(web["pid"]))
        assert inside(container)["services"]["web"]["stopped"]
        container.run("systemctl", "kill", "-s", "KILL", "web.service")
        processes.until(lambda: inside(container)["services"]["web"]["status"] == "failed", "it is seen as failed")


def inside(container: Container) -> dict[str, Any]:
    """Take a reading with a LinuxHost that runs in the container."""
    code = """if True:
        import dataclasses, datetime, json
        from homeostat_agent.config import AgentConfig, Service
        from homeostat_agent.decider.sensing.linux import LinuxHost
        services = tuple(Service(name, unit=name + ".service") for name in ("web", "db", "none"))
        host = LinuxHost(AgentConfig(service=services), lambda: datetime.datetime.now(datetime.UTC))
        reading = host.read()
        found = {one.name: dataclasses.asdict(one) for one in reading.services}
        print(json.dumps({"services": found, "facts": dict(host.facts()), "sample": dict(reading.sample.values)}))
    """
    found: dict[str, Any] = json.loads(container.run(sys.executable, "-c", code))
    return found
