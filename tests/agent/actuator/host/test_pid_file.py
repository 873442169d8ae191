import os
import time
from pathlib import Path

import pytest

from homeostat_agent.actuator.host import pid_file, process_table
from homeostat_agent.procfs import ProcessStat


def me() -> ProcessStat:
    found = process_table.process(os.getpid())
    assert found is not None
    return found


def test_what_is_written_is_read_and_means_the_running_process(tmp_path: Path) -> None:
    path = tmp_path / "web.pid"
    pid_file.write(str(path), me().pid, me().started)
    assert path.read_text() == f"{me().pid}\n{me().started}\n"
    leader = pid_file.read(str(path))
    assert leader is not None
    found = pid_file.running(leader)
    assert found is not None
    assert found.pid == os.getpid()


def test_another_start_time_means_that_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "web.pid"
    pid_file.write(str(path), me().pid, me().started - 1)
    leader = pid_file.read(str(path))
    assert leader is not None
    assert pid_file.running(leader) is None


def test_a_pid_alone_is_believed_for_a_process_older_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "web.pid"
    path.write_text(f"{os.getpid()}\n")
    leader = pid_file.read(str(path))
    assert leader is not None
    assert leader.started is None
    assert pid_file.running(leader) is not None
    long_ago = time.time() - 10 * 365 * 86400
    os.utime(path, (long_ago, long_ago))
    leader = pid_file.read(str(path))
    assert leader is not None
    assert pid_file.running(leader) is None


@pytest.mark.parametrize("text", ["", "x", "-5", "12 x", "1.5", " \n"])
def test_nonsense_is_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.pid"
    path.write_text(text)
    assert pid_file.read(str(path)) is None


@pytest.mark.parametrize("pid", [0, 1])
def test_the_first_process_is_nobody_s_service(pid: int) -> None:
    assert pid_file.running(pid_file.Leader(pid, None, time.time())) is None


def test_a_missing_file_a_link_and_a_pipe_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(f"{os.getpid()}\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "link", "pipe"):
        assert pid_file.read(str(tmp_path / name)) is None


def test_writing_replaces_a_link_rather_than_following_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    for name in ("web.pid", "web.pid.new"):
        (tmp_path / name).symlink_to(victim)
    pid_file.write(str(tmp_path / "web.pid"), 12, 34)
    assert victim.read_text() == "keep"
    assert (tmp_path / "web.pid").read_text() == "12\n34\n"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pid_file.write(str(tmp_path / "nowhere" / "web.pid"), 12, 34)
