import os
import time
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.boot_clock import wall_ahead_ns
from homeostat_agent.pid_files import SLACK_S, PidFiles, read_pid_file, write_pid_file
from homeostat_agent.procfs import CLOCK_TICKS


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


def seem_started(proc: Path, pid: int, ticks: int) -> None:
    """Have a made /proc show a process that started so many ticks after boot."""
    (proc / str(pid)).mkdir(parents=True, exist_ok=True)
    (proc / str(pid) / "stat").write_text(f"{pid} (a) S 1{' 0' * 17} {ticks} 1000 9 0 0\n")


class MadeClock:
    """The wall clock was at zero at boot, until it is set."""

    ahead_s = 0

    def __call__(self) -> int:
        return self.ahead_s * 10**9


@pytest.fixture
def clock() -> MadeClock:
    return MadeClock()


def files_of(tmp_path: Path, clock: MadeClock) -> PidFiles:
    return PidFiles(tmp_path / "proc", clock)


def written_at(tmp_path: Path, seconds: int) -> str:
    path = tmp_path / "pid"
    path.write_text("70\n")
    os.utime(path, (seconds, seconds))
    return str(path)


def test_a_file_that_is_touched_after_the_clock_was_set_still_means_the_same_process(
    tmp_path: Path, clock: MadeClock
) -> None:
    files, path = files_of(tmp_path, clock), written_at(tmp_path, 1000)
    seem_started(tmp_path / "proc", 70, 900 * CLOCK_TICKS)
    assert files.leader(path) is not None
    clock.ahead_s = 5000
    written_at(tmp_path, 1001)
    assert files.leader(path) is not None


def test_a_file_written_anew_for_a_reused_number_means_the_new_process(tmp_path: Path, clock: MadeClock) -> None:
    files, path = files_of(tmp_path, clock), written_at(tmp_path, 1000)
    seem_started(tmp_path / "proc", 70, 900 * CLOCK_TICKS)
    assert files.leader(path) is not None
    seem_started(tmp_path / "proc", 70, 2000 * CLOCK_TICKS)
    assert files.leader(path) is None
    written_at(tmp_path, 2001)
    found = files.leader(path)
    assert found is not None
    assert found.started == 2000 * CLOCK_TICKS


def test_a_clock_that_was_set_back_gives_an_old_file_no_new_process(tmp_path: Path, clock: MadeClock) -> None:
    files, path = files_of(tmp_path, clock), written_at(tmp_path, 1000)
    seem_started(tmp_path / "proc", 70, 900 * CLOCK_TICKS)
    assert files.leader(path) is not None
    seem_started(tmp_path / "proc", 70, 2000 * CLOCK_TICKS)
    clock.ahead_s = -1500
    assert files.leader(path) is None


def test_ages_may_differ_by_the_slack_of_the_clocks(tmp_path: Path, clock: MadeClock) -> None:
    path = written_at(tmp_path, 1000)
    seem_started(tmp_path / "proc", 70, int((1000 + SLACK_S) * CLOCK_TICKS))
    assert files_of(tmp_path, clock).leader(path) is not None
    seem_started(tmp_path / "proc", 70, int((1000 + SLACK_S) * CLOCK_TICKS) + 1)
    assert files_of(tmp_path, clock).leader(path) is None


def test_a_file_with_a_start_time_that_becomes_a_number_only_means_the_same_process(
    tmp_path: Path, clock: MadeClock
) -> None:
    files, path = files_of(tmp_path, clock), written_at(tmp_path, 1000)
    seem_started(tmp_path / "proc", 70, 900 * CLOCK_TICKS)
    Path(path).write_text(f"70\n{900 * CLOCK_TICKS}\n")
    assert files.leader(path) is not None
    written_at(tmp_path, 1)
    assert files.leader(path) is not None


def test_an_ended_process_leads_nothing(tmp_path: Path) -> None:
    with processes.running(*processes.sleeper()) as child:
        path = processes.pid_file(tmp_path / "pid", child.pid)
        assert PidFiles().leader(path) is not None
        os.kill(child.pid, 9)
        processes.until(lambda: PidFiles().leader(path) is None, "a zombie leads nothing")


@pytest.mark.parametrize("content", ["", " \n", "x\n", "-5\n", "1.5", "12 x\n", "0\n", "1\n", "99999999\n"])
def test_what_names_no_process_is_nobody(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content)
    assert PidFiles().leader(str(path)) is None


def test_a_missing_file_is_nobody(tmp_path: Path) -> None:
    assert read_pid_file(str(tmp_path / "none")) is None


def test_a_file_that_cannot_be_read_is_an_error_not_an_answer(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        read_pid_file(str(tmp_path))


def test_a_link_is_not_followed_and_a_pipe_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(f"{os.getpid()}\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="symbolic"):
        read_pid_file(str(tmp_path / "link"))
    os.mkfifo(tmp_path / "pipe")
    assert read_pid_file(str(tmp_path / "pipe")) is None


def test_what_is_written_is_read_and_means_the_running_process(tmp_path: Path) -> None:
    path = tmp_path / "web.pid"
    write_pid_file(str(path), os.getpid(), started(os.getpid()))
    assert path.read_text() == f"{os.getpid()}\n{started(os.getpid())}\n"
    found = PidFiles().leader(str(path))
    assert found is not None
    assert found.pid == os.getpid()


def test_writing_replaces_a_link_rather_than_following_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    for name in ("web.pid", "web.pid.new"):
        (tmp_path / name).symlink_to(victim)
    write_pid_file(str(tmp_path / "web.pid"), 12, 34)
    assert victim.read_text() == "keep"
    assert (tmp_path / "web.pid").read_text() == "12\n34\n"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_pid_file(str(tmp_path / "nowhere" / "web.pid"), 12, 34)
