import threading
from pathlib import Path

from fakes import processes
from homeostat_agent.decider.watching.check_queue import CheckQueue
from homeostat_agent.decider.watching.checking import Verdict


def test_verdicts_come_in_the_checking_thread_in_the_order_asked() -> None:
    found: list[tuple[str, bool | None, str]] = []
    queue = CheckQueue(lambda path, verdict: found.append((path, verdict.valid, threading.current_thread().name)))
    queue.ask("/a", ("/bin/true",))
    queue.ask("/b", ("/bin/false",))
    processes.until(lambda: len(found) == 2, "both verdicts")
    assert found == [("/a", True, "checks"), ("/b", False, "checks")]
    queue.stop()


def test_a_path_that_waits_is_not_checked_twice_and_one_that_runs_is_checked_again(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wait = ("/bin/sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.02; done; echo waited")
    found: list[str] = []
    queue = CheckQueue(lambda path, _: found.append(path))
    queue.ask("/a", wait)
    processes.until(lambda: not queue._waiting, "the check runs")
    for _ in range(3):
        queue.ask("/a", ("/bin/true",))
        queue.ask("/b", ("/bin/true",))
    gate.touch()
    processes.until(lambda: len(found) == 3, "three checks")
    assert found == ["/a", "/a", "/b"]
    queue.stop()


def test_a_check_that_hangs_ends_at_its_bound() -> None:
    found: list[Verdict] = []
    queue = CheckQueue(lambda _, verdict: found.append(verdict), within_s=0.2)
    queue.ask("/a", processes.sleeper())
    processes.until(lambda: bool(found), "the bound")
    assert found[0].valid is None
    queue.stop()


def test_after_the_stop_nothing_is_checked() -> None:
    found: list[str] = []
    queue = CheckQueue(lambda path, _: found.append(path))
    queue.stop()
    queue.ask("/a", ("/bin/true",))
    assert queue._thread is None
    assert found == []
