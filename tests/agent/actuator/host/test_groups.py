import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.actuator_rig import end_group, is_running, read_pid, until
from homeostat_agent.actuator.host import process_table
from homeostat_agent.actuator.host.groups import MARK, Groups
from homeostat_agent.actuator.host.port import StepResult
from homeostat_agent.config import Service
from homeostat_agent.program_matching import identity

WITHIN_S = 20.0
SLEEP = ("/bin/sleep", "100010")
# A leader with one worker, both in the group; it says so once the worker runs.
WITH_WORKER = ("/bin/sh", "-c", "sleep 100011 & echo ready; wait")
DEAF = ("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    made = Groups()
    yield made
    path = tmp_path / "web.pid"
    end_group(path)
    until("the service's end", lambda: not is_running(read_pid(path)))
    made.reap()


def declared(folder: Path, command: tuple[str, ...] = SLEEP, *, working_dir: str = "", log_file: str = "") -> Service:
    pid_file = str(folder / "web.pid")
    return Service("web", command=command, pid_file=pid_file, working_dir=working_dir, log_file=log_file)


def start(groups: Groups, service: Service) -> int:
    result = groups.start(service, WITHIN_S)
    assert result.ok, result
    found = groups.find(service)
    assert found is not None
    return found.pid


def start_and_wait(groups: Groups, folder: Path, command: tuple[str, ...]) -> tuple[Service, int]:
    """Start a service that says `ready`, and wait for that."""
    log = folder / "web.log"
    service = declared(folder, command, log_file=str(log))
    log.write_text("")
    pid = start(groups, service)
    until("ready", lambda: "ready" in log.read_text())
    return service, pid


def descriptors(pid: int) -> dict[str, str]:
    """Return a process's open files by number; none while they change, as when it loads its libraries."""
    try:
        return {link.name: str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:
        return {}


def worker_of(pid: int) -> int:
    return until("the worker", lambda: [one.pid for one in process_table.processes() if one.parent == pid])[0]


def test_a_service_starts_in_a_session_of_its_own_with_nothing_of_ours(
    groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "1")
    log = tmp_path / "web.log"
    service = declared(tmp_path, working_dir=str(tmp_path), log_file=str(log))
    pid = start(groups, service)
    found = process_table.process(pid)
    assert found is not None
    assert found.session == found.group == pid
    assert (tmp_path / "web.pid").read_text() == f"{pid}\n{found.started}\n"
    assert process_table.has_environment(pid, f"{MARK}={service.pid_file}")
    assert not process_table.has_environment(pid, "SECRET=1")
    until("its three files", lambda: descriptors(pid) == {"0": "/dev/null", "1": str(log), "2": str(log)})
    assert Path(f"/proc/{pid}/cwd").readlink() == tmp_path


def test_output_is_added_to_the_log_and_a_link_in_its_place_is_refused(groups: Groups, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("earlier\n")
    service = declared(tmp_path, ("/bin/sh", "-c", "echo said; exec sleep 100012"), log_file=str(log))
    start(groups, service)
    until("the output", lambda: log.read_text() == "earlier\nsaid\n")
    groups.stop(service, WITHIN_S)
    log.unlink()
    log.symlink_to(tmp_path / "victim")
    assert not groups.start(service, WITHIN_S).ok
    assert not (tmp_path / "victim").exists()


def test_what_cannot_be_started_says_why(groups: Groups, tmp_path: Path) -> None:
    result = groups.start(declared(tmp_path, ("/no/such/program",)), WITHIN_S)
    assert result == StepResult(ok=False, detail="/no/such/program: No such file or directory")


def test_a_service_whose_pid_file_cannot_be_written_is_not_left_running(groups: Groups, tmp_path: Path) -> None:
    command = ("/bin/sleep", "100013")
    service = Service("web", command=command, pid_file=str(tmp_path / "nowhere" / "web.pid"))
    assert not groups.start(service, WITHIN_S).ok
    assert command not in {identity(one.pid).arguments for one in process_table.processes()}


def test_a_whole_group_is_ended(groups: Groups, tmp_path: Path) -> None:
    service, pid = start_and_wait(groups, tmp_path, WITH_WORKER)
    worker = worker_of(pid)
    assert groups.stop(service, WITHIN_S).ok
    assert not is_running(pid)
    assert not is_running(worker)


def test_a_whole_group_is_ended_where_the_kernel_cannot_signal_groups(groups: Groups, tmp_path: Path) -> None:
    service, pid = start_and_wait(groups, tmp_path, WITH_WORKER)
    worker = worker_of(pid)
    older = Groups(lambda _handle, _number: False)  # as before Linux 6.9
    assert older.stop(service, WITHIN_S).ok
    assert not is_running(pid)
    assert not is_running(worker)


def test_a_deaf_group_is_killed_where_the_kernel_cannot_signal_groups(groups: Groups, tmp_path: Path) -> None:
    service, pid = start_and_wait(groups, tmp_path, DEAF)
    older = Groups(lambda _handle, _number: False)
    assert older.stop(service, 0.2) == StepResult(ok=True, detail=f"ended process {pid} with SIGKILL")


def test_what_is_left_of_a_group_is_ended_before_a_new_start(groups: Groups, tmp_path: Path) -> None:
    service, pid = start_and_wait(groups, tmp_path, WITH_WORKER)
    worker = worker_of(pid)
    os.kill(pid, signal.SIGKILL)
    until("the crash", lambda: not is_running(pid))
    assert is_running(worker)
    result = groups.start(service, WITHIN_S)
    assert result.ok
    assert not is_running(worker)


def test_one_that_does_not_listen_is_killed_at_the_bound(groups: Groups, tmp_path: Path) -> None:
    service, pid = start_and_wait(groups, tmp_path, DEAF)
    result = groups.stop(service, 0.2)
    assert result == StepResult(ok=True, detail=f"ended process {pid} with SIGKILL")
    assert not is_running(pid)


def test_a_stopped_service_ends(groups: Groups, tmp_path: Path) -> None:
    service = declared(tmp_path)
    pid = start(groups, service)
    os.kill(pid, signal.SIGSTOP)
    assert groups.stop(service, WITHIN_S) == StepResult(ok=True, detail=f"ended process {pid} with SIGTERM")


def test_a_service_that_ends_at_once_is_down(groups: Groups, tmp_path: Path) -> None:
    service = declared(tmp_path, ("/bin/false",))
    groups.start(service, WITHIN_S)
    until("its end", lambda: groups.find(service) is None)


def test_ended_children_are_taken_away(groups: Groups, tmp_path: Path) -> None:
    service = declared(tmp_path)
    pid = start(groups, service)
    os.kill(pid, signal.SIGKILL)

    def gone() -> bool:
        groups.reap()
        return not Path(f"/proc/{pid}").exists()

    until("the number is free", gone)


def test_a_service_started_by_a_process_that_was_cut_off_is_found_again(groups: Groups, tmp_path: Path) -> None:
    service = declared(tmp_path)
    pid = start(groups, service)
    (tmp_path / "web.pid").unlink()
    assert groups.find(service) is None
    groups.adopt([service])
    found = groups.find(service)
    assert found is not None
    assert found.pid == pid


def test_only_a_leader_with_the_very_mark_is_adopted(groups: Groups, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    service, other = declared(tmp_path), declared(tmp_path / "other")
    start(groups, service)
    groups.adopt([service, other])
    assert groups.find(other) is None
    groups.stop(service, WITHIN_S)
    groups.adopt([service])
    assert groups.find(service) is None


def test_a_service_of_another_s_making_is_known_by_a_pid_alone(groups: Groups, tmp_path: Path) -> None:
    service = declared(tmp_path)
    child = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        (tmp_path / "web.pid").write_text(f"{child.pid}\n")
        found = groups.find(service)
        assert found is not None
        # The wall clock was set back and forth since: the file now seems to be older than the process.
        os.utime(tmp_path / "web.pid", (1, 1))
        again = groups.find(service)
        assert again is not None
        assert (again.pid, again.started) == (found.pid, found.started)
        assert groups.stop(service, WITHIN_S).ok
    finally:
        child.kill()
        child.wait()


def test_a_service_whose_pid_file_cannot_be_read_is_not_adopted(groups: Groups, tmp_path: Path) -> None:
    service = declared(tmp_path)
    start(groups, service)
    (tmp_path / "web.pid").rename(tmp_path / "real")
    (tmp_path / "web.pid").symlink_to(tmp_path / "real")
    groups.adopt([service])
    assert (tmp_path / "web.pid").is_symlink()
    (tmp_path / "real").replace(tmp_path / "web.pid")


def test_a_process_that_leads_no_group_is_ended_without_its_neighbours(groups: Groups, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; print(subprocess.Popen(['/bin/sleep', '100014']).pid, flush=True); sys.stdin.read()"
    )
    leader = subprocess.Popen(
        (sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert leader.stdout is not None
        pid = int(leader.stdout.readline())
        (tmp_path / "web.pid").write_text(f"{pid}\n")
        assert groups.stop(declared(tmp_path), WITHIN_S).ok
        assert not is_running(pid)
        assert is_running(leader.pid)
    finally:
        leader.communicate()


@pytest.mark.parametrize("pid", [os.getpid(), os.getppid()], ids=["itself", "its parent"])
def test_a_pid_file_that_names_ourselves_ends_nobody(groups: Groups, tmp_path: Path, pid: int) -> None:
    (tmp_path / "web.pid").write_text(f"{pid}\n")
    result = groups.stop(declared(tmp_path), WITHIN_S)
    (tmp_path / "web.pid").unlink()
    assert not result.ok
    assert "our own" in result.detail
