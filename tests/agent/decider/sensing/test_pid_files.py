import os
import time
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.boot_clock import wall_ahead_ns
from homeostat_agent.decider.sensing.pid_files import PidFiles, read_pid_file


def started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_number_and_start_time(tmp_path: Path) -> None:
    path = processes.pid_file(tmp_path / "pid", os.getpid())
    found = PidFiles().leader(path)
    assert found is not None
    assert (found.pid, found.started) == (os.getpid(), started(os.getpid()))


def test_a_number_that_names_another_process_by_now_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n{started(os.getpid()) + 1}\n")
    assert PidFiles().leader(str(path)) is None


def test_a_file_without_a_start_time_is_believed_for_an_older_process(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    found = PidFiles().leader(str(path))
    assert found is not None
    assert found.pid == os.getpid()


def test_a_file_without_a_start_time_is_not_believed_for_a_younger_process(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    before = time.time() - 10 * 365 * 86_400
    os.utime(path, (before, before))
    assert PidFiles().leader(str(path)) is None


def test_a_clock_that_was_set_does_not_make_a_known_service_look_dead(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    set_forward_ns = 0
    files = PidFiles(wall_ahead_ns=lambda: wall_ahead_ns() + set_forward_ns)
    assert files.leader(str(path)) is not None
    set_forward_ns = 10 * 365 * 86_400 * 10**9
    assert files.leader(str(path)) is not None
    # The same step before the first look: now the process seems to be younger than the file.
    assert PidFiles(wall_ahead_ns=lambda: wall_ahead_ns() + set_forward_ns).leader(str(path)) is None


def test_an_ended_process_leads_nothing(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as child:
        path = processes.pid_file(tmp_path / "pid", child.pid)
        assert PidFiles().leader(path) is not None
        os.kill(child.pid, 9)
        processes.until(lambda: PidFiles().leader(path) is None, "a zombie leads nothing")


@pytest.mark.parametrize("content", ["", "\n", "x\n", "-5\n", "12 x\n", "99999999\n"])
def test_what_names_no_process_is_nobody(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content)
    assert PidFiles().leader(str(path)) is None


def test_a_missing_file_is_nobody(tmp_path: Path) -> None:
    assert read_pid_file(str(tmp_path / "none")) is None


def test_a_file_that_cannot_be_read_is_an_error_not_an_answer(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        read_pid_file(str(tmp_path))
