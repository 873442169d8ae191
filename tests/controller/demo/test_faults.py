import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat_controller.demo import faults, layout, processes
from homeostat_controller.demo.layout import Layout
from homeostat_controller.demo.processes import Started


@pytest.fixture
def demo(tmp_path: Path) -> Layout:
    made = layout.make(tmp_path / "demo")
    for endpoint in layout.ENDPOINTS:
        made.pid_file(endpoint).parent.mkdir(parents=True)
        made.agent(endpoint.name).mkdir(parents=True)
    return made


@pytest.fixture
def service(demo: Layout, request: pytest.FixtureRequest) -> Iterator[Started]:
    """The service of the fault's endpoint, up and answering."""
    endpoint = faults.FAULTS[request.param].endpoint
    started = processes.start(layout.service_command(demo, endpoint), demo.log("service"))
    demo.pid_file(endpoint).write_text(f"{started.pid}\n")
    yield started
    processes.end([started])


def state(process: Started) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("service", ["crash"], indirect=True)
def test_crash_kills_the_service(demo: Layout, service: Started) -> None:
    fault = faults.FAULTS["crash"]
    fault.inject(demo, fault.endpoint)
    assert os.waitpid(service.pid, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("service", ["hang"], indirect=True)
def test_hang_stops_the_service(demo: Layout, service: Started) -> None:
    fault = faults.FAULTS["hang"]
    fault.inject(demo, fault.endpoint)
    os.waitid(os.P_PID, service.pid, os.WSTOPPED)
    assert state(service) == "T"


@pytest.mark.parametrize("name", ["crash", "hang", "leak"])
def test_without_a_service_the_fault_says_why_it_cannot_be(demo: Layout, name: str) -> None:
    fault = faults.FAULTS[name]
    with pytest.raises(faults.FaultError, match=fault.endpoint.service):
        fault.inject(demo, fault.endpoint)


def test_cpu_starts_a_report_that_is_remembered(demo: Layout) -> None:
    fault = faults.FAULTS["cpu"]
    fault.inject(demo, fault.endpoint)
    started = list(processes.remembered(demo.processes).values())
    assert [processes.is_alive(one) for one in started] == [True]
    processes.end(started)


def test_disk_fills_the_cache_close_to_its_limit(demo: Layout) -> None:
    fault = faults.FAULTS["disk"]
    fault.inject(demo, fault.endpoint)
    used = sum(file.stat().st_size for file in demo.cache(fault.endpoint).iterdir())
    assert 0.9 * layout.CACHE_LIMIT_MIB <= used / (1 << 20) <= layout.CACHE_LIMIT_MIB


def test_config_breaks_the_file_and_the_repair_mends_it(demo: Layout) -> None:
    fault = faults.FAULTS["config"]
    site = demo.site_file(fault.endpoint)
    fault.inject(demo, fault.endpoint)
    with pytest.raises(ValueError):
        json.loads(site.read_text())
    faults.repair_config(demo)
    assert "greeting" in json.loads(site.read_text())
