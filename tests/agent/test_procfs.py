import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent import procfs
from homeostat_agent.procfs import parse_stat, pids, read_once, read_stat


def test_what_cannot_be_read_is_empty_and_what_is_too_long_is_cut(tmp_path: Path) -> None:
    assert read_once(str(tmp_path)) == b""
    assert read_once(str(tmp_path / "missing")) == b""
    (tmp_path / "long").write_bytes(b"x" * (procfs.CHUNK_BYTES + 1))
    assert read_once(str(tmp_path / "long")) == b"x" * procfs.CHUNK_BYTES


def test_ones_own_stat_line() -> None:
    found = read_stat(os.getpid())
    assert found is not None
    assert (found.pid, found.state, found.parent) == (os.getpid(), "R", os.getppid())
    assert (found.group, found.session) == (os.getpgrp(), os.getsid(0))
    assert found.resident_bytes > 1 << 20
    assert not found.ended


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields() -> None:
    line = b"7 (a) R (b) S 1 7 7 0 -1 0 0 0 0 0 11 22 3 4 20 0 1 0 5000 1000 9 0 0\n"
    found = parse_stat(line)
    assert found is not None
    assert (found.pid, found.comm, found.state, found.ticks, found.ended_children_ticks) == (7, b"a) R (b", "S", 33, 7)
    assert (found.started, found.resident_bytes) == (5000, 9 * procfs.PAGE_BYTES)
    assert (found.parent, found.group, found.session) == (1, 7, 7)


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


def test_a_name_with_brackets_and_spaces_misleads_nobody(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o700)
    child = subprocess.Popen((str(program), "100008"))
    try:
        found = read_stat(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
    finally:
        child.kill()
        child.wait()


def test_a_stopped_process_shows() -> None:
    child = subprocess.Popen(("/bin/sleep", "100009"))
    try:
        child.send_signal(signal.SIGSTOP)

        def stopped() -> bool:
            found = read_stat(child.pid)
            return found is not None and found.stopped

        processes.until(stopped, "the stop")
    finally:
        child.kill()
        child.wait()


def test_cpu_time_is_counted() -> None:
    before = read_stat(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    after = read_stat(os.getpid())
    assert before is not None
    assert after is not None
    assert after.ticks >= before.ticks + 2
