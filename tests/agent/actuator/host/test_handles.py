import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fakes.actuator_rig import is_running, until
from homeostat_agent.actuator.host import handles, process_table


@contextmanager
def child(*argv: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(argv or ("/bin/sleep", "100006"), stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def started(pid: int) -> int:
    found = process_table.process(pid)
    assert found is not None
    return found.started


def test_a_signal_reaches_the_process_that_was_meant() -> None:
    with child() as process, handles.handle(process.pid, started(process.pid)) as handle:
        assert handle is not None
        handles.send(handle, signal.SIGTERM)
        assert handles.ends(handle, time.monotonic() + 10)
        assert process.wait() == -signal.SIGTERM


def test_a_handle_outlives_its_process_and_then_hits_nobody() -> None:
    with child() as process, handles.handle(process.pid, started(process.pid)) as handle:
        assert handle is not None
        process.kill()
        process.wait()
        handles.send(handle, signal.SIGTERM)
        assert handles.send_to_group(handle, signal.SIGTERM)


def test_a_group_is_reached_even_when_its_leader_has_ended() -> None:
    with child("/bin/sh", "-c", "sleep 100007 & echo; wait") as leader:
        ticks = started(leader.pid)
        member = until("the member", lambda: [p.pid for p in process_table.processes() if p.parent == leader.pid])[0]
        with handles.handle(leader.pid, ticks) as handle:
            assert handle is not None
            leader.kill()
            leader.wait()
            if not handles.send_to_group(handle, signal.SIGKILL):
                os.kill(member, signal.SIGKILL)
                pytest.skip("this kernel is older than 6.9")
        until("the member's end", lambda: not is_running(member))


def test_waiting_is_bounded() -> None:
    with child() as process, handles.handle(process.pid, started(process.pid)) as handle:
        assert handle is not None
        assert not handles.ends(handle, time.monotonic() + 0.02)
        assert not handles.ends(handle, time.monotonic() - 1)


def test_no_descriptor_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count of descriptors, not paths
    with child() as process:
        for ticks in (0, started(process.pid)):
            with handles.handle(process.pid, ticks):
                pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # a count of descriptors, not paths
