import os
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.config import Probe, Service
from homeostat_agent.decider.sensing.cgroups import Cgroups
from homeostat_agent.decider.sensing.port import ServiceReading, ServiceStatus
from homeostat_agent.decider.sensing.probes import Probes
from homeostat_agent.decider.sensing.processes import ProcessTable
from homeostat_agent.decider.sensing.services import ASK_EVERY, Groups, Units, with_answer
from homeostat_agent.decider.sensing.unit_state import BusError, UnitState
from homeostat_agent.probing import Answer

WEB = Service("web", unit="web.service")


class Manager:
    """A service manager that says what it is told to say."""

    def __init__(self, **states: UnitState) -> None:
        self.answers = {state.unit: state for state in states.values()}
        self.asked: list[list[str]] = []
        self.lost = False

    def states(self, units: Iterable[str]) -> dict[str, UnitState]:
        names = list(units)
        self.asked.append(names)
        if self.lost:
            raise BusError("gone")
        return {name: self.answers[name] for name in names if name in self.answers}

    def close(self) -> None:
        self.lost = True


def state(active: str, sub: str = "running", pid: int = 0, load: str = "loaded") -> UnitState:
    return UnitState("web.service", "/web", load, active, sub, pid, "/web")


def units(manager: Manager, tmp_path: Path) -> Units:
    return Units([WEB, Service("group", pid_file="/x")], manager, Cgroups(tmp_path))


def group(tmp_path: Path) -> tuple[Service, ProcessTable, Groups]:
    service = Service("web", command=("/bin/sleep",), pid_file=str(tmp_path / "web.pid"))
    table = ProcessTable([])
    return service, table, Groups([service, Service("unit", unit="u.service")], table)


def test_a_groups_memory_and_time_are_those_of_all_its_processes(tmp_path: Path) -> None:
    service, table, groups = group(tmp_path)
    spawn = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', sys.argv[1], '30000000'])"
    eat = (
        "import sys, time; held = bytearray(int(sys.argv[1])); held[::4096] = b'x' * len(held[::4096]); time.sleep(60)"
    )
    with processes.running(*processes.python(spawn + "; time.sleep(60)", eat)) as leader:
        processes.pid_file(tmp_path / "web.pid", leader.pid)

        def eaten() -> bool:
            table.refresh(groups.leaders(), full=True)
            return groups.read(service).memory_bytes > 35_000_000

        processes.until(eaten, "the child's memory counted")
        found = groups.read(service)
        assert (found.status, found.pid) == (ServiceStatus.RUNNING, leader.pid)
        assert groups.leaders() == {leader.pid}
        assert found.cpu_s > 0


def test_a_leader_that_was_just_started_is_read_without_a_scan(tmp_path: Path) -> None:
    service, _, groups = group(tmp_path)
    assert groups.read(service) == ServiceReading("web", ServiceStatus.DOWN)
    with processes.running(*processes.sleeper()) as leader:
        processes.pid_file(tmp_path / "web.pid", leader.pid)
        assert groups.read(service).pid == leader.pid


def test_a_pid_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    service, _, groups = group(tmp_path)
    Path(service.pid_file).mkdir()
    assert groups.read(service) == ServiceReading("web", ServiceStatus.UNKNOWN)
    assert groups.leaders() == frozenset()


def test_a_traced_or_waiting_service_is_not_stopped_and_a_stopped_one_is(tmp_path: Path) -> None:
    service, _, groups = group(tmp_path)
    with processes.running(*processes.sleeper()) as leader:
        processes.pid_file(tmp_path / "web.pid", leader.pid)
        assert not groups.read(service).stopped
        os.kill(leader.pid, signal.SIGSTOP)
        processes.until(lambda: groups.read(service).stopped, "it is stopped")


@pytest.mark.parametrize(
    ("active", "sub", "pid", "status"),
    [
        ("active", "running", 0, ServiceStatus.RUNNING),  # a service of which systemd follows no process
        ("active", "exited", 0, ServiceStatus.RUNNING),
        ("active", "running", 2**22 + 5, ServiceStatus.UNKNOWN),  # its process is gone; systemd will say so soon
        ("inactive", "dead", 0, ServiceStatus.DOWN),
        ("failed", "failed", 0, ServiceStatus.FAILED),
        ("activating", "auto-restart", 0, ServiceStatus.DOWN),
        ("activating", "start", 0, ServiceStatus.UNKNOWN),
        ("deactivating", "stop-sigterm", 0, ServiceStatus.UNKNOWN),
        ("maintenance", "x", 0, ServiceStatus.UNKNOWN),
    ],
)
def test_what_a_units_state_means(tmp_path: Path, active: str, sub: str, pid: int, status: ServiceStatus) -> None:
    there = units(Manager(web=state(active, sub, pid)), tmp_path)
    there.refresh()
    assert there.read(WEB) == ServiceReading("web", status)


def test_a_unit_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    there = units(Manager(web=state("inactive", "dead", load="not-found")), tmp_path)
    there.refresh()
    assert there.read(WEB).status is ServiceStatus.UNKNOWN


def test_while_the_main_process_lives_systemd_is_asked_at_every_sixth_reading(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as main:
        manager = Manager(web=state("active", pid=main.pid))
        there = units(manager, tmp_path)
        for _ in range(ASK_EVERY + 1):
            there.refresh()
            found = there.read(WEB)
            assert (found.status, found.pid, found.stopped) == (ServiceStatus.RUNNING, main.pid, False)
            assert found.started > 0
            assert found.memory_bytes > 0  # without a control group's count: the main process's own
        assert manager.asked == [["web.service"]] * 2
        there.close()


def test_a_main_process_that_ended_makes_systemd_be_asked_again(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as main, processes.running(*processes.sleeper()) as second:
        manager = Manager(web=state("active", pid=main.pid))
        there = units(manager, tmp_path)
        there.refresh()
        processes.finish(main)
        manager.answers["web.service"] = state("active", pid=second.pid)
        there.refresh()
        assert there.read(WEB).pid == second.pid
        assert len(manager.asked) == 2


def test_at_once_means_that_systemd_is_asked_first(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as main:
        manager = Manager(web=state("active", pid=main.pid))
        there = units(manager, tmp_path)
        there.refresh()
        manager.answers["web.service"] = state("inactive", "dead")
        assert there.read(WEB).status is ServiceStatus.RUNNING
        assert there.read(WEB, at_once=True).status is ServiceStatus.DOWN


def test_when_the_bus_is_lost_a_living_process_still_runs_and_a_dead_one_is_unknown(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as main:
        manager = Manager(web=state("active", pid=main.pid))
        there = units(manager, tmp_path)
        there.refresh()
        manager.lost = True
        assert there.read(WEB, at_once=True).status is ServiceStatus.RUNNING
        processes.finish(main)
        there.refresh()
        assert there.read(WEB).status is ServiceStatus.UNKNOWN


def test_a_control_groups_counts_are_taken_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(f"1 1 0:1 / {tmp_path}/cg rw - cgroup2 none rw\n")
    (tmp_path / "cg/web").mkdir(parents=True)
    (tmp_path / "cg/web/memory.stat").write_text("anon 7000\nfile_mapped 1\n")
    with processes.running(*processes.sleeper()) as main:
        there = units(Manager(web=state("active", pid=main.pid)), tmp_path)
        there.refresh()
        assert there.read(WEB).memory_bytes == 7001
        assert there.read(WEB).cpu_s >= 0
        (tmp_path / "cg/web/cpu.stat").write_text("usage_usec 3000000\n")
        assert there.read(WEB).cpu_s == 3.0
        there.close()


def test_without_controllers_all_processes_of_the_control_group_are_added_up(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(f"1 1 0:1 / {tmp_path}/cg rw - cgroup2 none rw\n")
    (tmp_path / "cg/web").mkdir(parents=True)
    with processes.running(*processes.sleeper()) as main, processes.running(*processes.eater(30 << 20)) as worker:
        (tmp_path / "cg/web/cgroup.procs").write_text(f"{main.pid}\n{worker.pid}\n")
        there = units(Manager(web=state("active", pid=main.pid)), tmp_path)
        there.refresh()
        processes.until(lambda: there.read(WEB).memory_bytes > 30 << 20, "the worker's memory counted")
        there.close()


def test_only_a_service_that_runs_and_has_a_probe_is_asked() -> None:
    probes = Probes()
    probe = Probe(tcp="127.0.0.1:1", timeout_s=0.2)
    runs = ServiceReading("web", ServiceStatus.RUNNING, pid=7)
    for reading, asked in (
        (runs, Probe()),
        (ServiceReading("web", ServiceStatus.DOWN), probe),
        (ServiceReading("web", ServiceStatus.UNKNOWN), probe),
    ):
        assert with_answer(reading, asked, probes) == reading
    assert not probes._waiting
    assert with_answer(runs, probe, probes) == runs  # asked now, for the next reading
    processes.until(lambda: with_answer(runs, probe, probes).answers is False, "an answer")
    found = with_answer(runs, probe, probes)
    assert found.answer_detail == "Connection refused"
    assert replace(found, answers=None, answer_detail="", answer_age_s=0.0) == runs
    assert probes.last("web", 7, probe) != Answer(True, "")
    probes.close()
