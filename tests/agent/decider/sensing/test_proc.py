import os
import signal
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.decider.sensing import proc
from homeostat_agent.decider.sensing.proc import KeptFile, parse_stat, pids, read_once, read_stat


def test_a_kept_file_reads_the_present_content_each_time(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("a")
    file = KeptFile(path)
    assert file.read() == b"a"
    path.write_text("bb")
    assert file.read() == b"bb"
    file.close()
    assert file.read() == b"bb"
    file.close()


def test_a_missing_file_reads_as_empty_until_it_is_there(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "later")
    assert file.read() == b""
    (tmp_path / "later").write_text("now")
    assert file.read() == b"now"
    file.close()


def test_without_reopen_the_path_is_opened_once_only(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "later", reopen=False)
    assert file.read() == b""
    (tmp_path / "later").write_text("another process of the same number")
    assert file.read() == b""


def test_a_kept_stat_of_an_ended_process_is_empty() -> None:
    with processes.running(*processes.sleeper()) as child:
        file = KeptFile(f"/proc/{child.pid}/stat", reopen=False)
        assert parse_stat(file.read()) is not None
        processes.finish(child)
        assert file.read() == b""


def test_a_long_table_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long"
    whole = b"".join(b"%d\n" % number for number in range(40_000))
    path.write_bytes(whole)
    file = KeptFile(path)
    assert file.read() == whole
    file.close()


def test_a_table_of_the_kernel_that_comes_in_pieces_is_read_whole() -> None:
    # Every mapping of this process: far more than one piece of 4096 bytes.
    file = KeptFile("/proc/self/maps")
    found = file.read()
    file.close()
    assert len(found) > 4096
    assert found.count(b"\n") >= 50
    assert found.endswith(b"\n")


def test_a_file_that_never_ends_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(proc.FILE_BYTES_MAX + (1 << 20))
    kept = KeptFile(path)
    assert proc.FILE_BYTES_MAX <= len(kept.read()) <= proc.FILE_BYTES_MAX + proc.CHUNK_BYTES
    kept.close()


def test_a_directory_reads_as_empty(tmp_path: Path) -> None:
    assert KeptFile(tmp_path).read() == b""
    assert read_once(str(tmp_path)) == b""
    assert read_once(str(tmp_path / "missing")) == b""


def test_ones_own_stat_line() -> None:
    found = read_stat(os.getpid())
    assert found is not None
    assert (found.pid, found.state, found.group, found.session) == (os.getpid(), "R", os.getpgrp(), os.getsid(0))
    assert found.resident_bytes > 1 << 20
    assert not found.ended


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields() -> None:
    line = b"7 (a) R (b) S 1 7 7 0 -1 0 0 0 0 0 11 22 3 4 20 0 1 0 5000 1000 9 0 0\n"
    found = parse_stat(line)
    assert found is not None
    assert (found.pid, found.comm, found.state, found.ticks, found.ended_children_ticks) == (7, b"a) R (b", "S", 33, 7)
    assert (found.started, found.resident_bytes) == (5000, 9 * proc.PAGE_BYTES)


@pytest.mark.parametrize("raw", [b"", b"7", b"7 (a", b"x (a) S 1", b"7 (a) S 1 2 3", b")"])
def test_what_is_no_stat_line_is_nothing(raw: bytes) -> None:
    assert parse_stat(raw) is None


def test_an_ended_child_that_waits_is_ended() -> None:
    with processes.running(*processes.sleeper()) as child:
        os.kill(child.pid, signal.SIGKILL)
        processes.until(lambda: (stat := read_stat(child.pid)) is not None and stat.ended, "a zombie")


def test_all_processes_are_listed(tmp_path: Path) -> None:
    assert os.getpid() in pids()
    assert pids(tmp_path / "none") == []
