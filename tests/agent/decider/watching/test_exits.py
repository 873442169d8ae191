import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.decider.watching import exits as module
from homeostat_agent.decider.watching.events import EventQueue, ProcessExited
from homeostat_agent.decider.watching.exits import ExitWatcher, MainProcess, pidfd_works
from homeostat_agent.procfs import read_stat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pidfd is Linux's")
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def queue() -> EventQueue:
    return EventQueue()


@pytest.fixture
def watcher(queue: EventQueue) -> Iterator[ExitWatcher]:
    made = ExitWatcher(queue, lambda: NOW)
    made.start()
    yield made
    made.stop()


def main_process(pid: int) -> MainProcess:
    stat = read_stat(pid)
    assert stat is not None
    return MainProcess(pid, stat.started)


def exited(service: str, pid: int) -> ProcessExited:
    return ProcessExited(service, pid, NOW)


def test_an_exit_is_told_once_even_when_the_watch_is_repeated(queue: EventQueue, watcher: ExitWatcher) -> None:
    with processes.running(*processes.sleeper()) as child:
        watched = {"web": main_process(child.pid)}
        watcher.watch(watched)
        watcher.watch(watched)
        assert queue.get(0.05) is None
        child.kill()
        assert queue.get(processes.WAIT_S) == exited("web", child.pid)
        watcher.watch(watched)
        assert queue.get(0.05) is None


def test_a_process_that_is_no_child_of_ours_is_watched_too(queue: EventQueue, watcher: ExitWatcher) -> None:
    spawn = (
        "import subprocess; quiet = subprocess.DEVNULL; "
        "print(subprocess.Popen(['/bin/sleep', '60'], start_new_session=True, stdout=quiet, stderr=quiet).pid)"
    )
    pid = int(subprocess.run(processes.python(spawn), capture_output=True, check=True).stdout)
    watcher.watch({"web": main_process(pid)})
    os.kill(pid, signal.SIGKILL)
    assert queue.get(processes.WAIT_S) == exited("web", pid)


def test_a_process_that_was_gone_before_is_told_at_once(queue: EventQueue, watcher: ExitWatcher) -> None:
    with processes.running(*processes.sleeper()) as child:
        gone = main_process(child.pid)
    watcher.watch({"web": gone})
    assert queue.get(processes.WAIT_S) == exited("web", gone.pid)


def test_a_number_that_names_another_process_by_now_counts_as_gone(queue: EventQueue, watcher: ExitWatcher) -> None:
    other = main_process(os.getpid())
    watcher.watch({"web": MainProcess(other.pid, other.started - 1)})
    assert queue.get(processes.WAIT_S) == exited("web", other.pid)


def test_a_restarted_service_is_watched_in_its_new_process_only(queue: EventQueue, watcher: ExitWatcher) -> None:
    with processes.running(*processes.sleeper()) as old, processes.running(*processes.sleeper()) as new:
        watcher.watch({"web": main_process(old.pid)})
        watcher.also("web", main_process(new.pid))
        processes.until(lambda: watcher._open.get("web", (None,))[0] == main_process(new.pid), "the new one watched")
        processes.finish(old)
        new.kill()
        assert queue.get(processes.WAIT_S) == exited("web", new.pid)


def test_what_is_no_longer_wanted_is_not_told(queue: EventQueue, watcher: ExitWatcher) -> None:
    with processes.running(*processes.sleeper()) as first, processes.running(*processes.sleeper()) as second:
        watcher.watch({"web": main_process(first.pid), "db": main_process(second.pid)})
        watcher.watch({"db": main_process(second.pid)})
        processes.until(lambda: set(watcher._open) == {"db"}, "one is let go")
        processes.finish(first)
        second.kill()
        assert queue.get(processes.WAIT_S) == exited("db", second.pid)


def test_many_at_once(queue: EventQueue, watcher: ExitWatcher) -> None:
    children = [processes.running(*processes.sleeper()) for _ in range(20)]
    running = [one.__enter__() for one in children]
    try:
        watcher.watch({f"s{n}": main_process(child.pid) for n, child in enumerate(running)})
        for child in running:
            child.kill()
        told = {queue.get(processes.WAIT_S) for _ in running}
        assert told == {exited(f"s{n}", child.pid) for n, child in enumerate(running)}
    finally:
        for one in children:
            one.__exit__(None, None, None)


def test_no_more_than_the_bound_are_watched(queue: EventQueue, watcher: ExitWatcher) -> None:
    own = main_process(os.getpid())
    watcher.watch({f"s{n:04}": own for n in range(module.WATCHED_MAX + 10)})
    processes.until(lambda: len(watcher._open) == module.WATCHED_MAX, "as many as may be")
    watcher.also("one-more", own)
    assert "one-more" not in watcher._wanted


def test_stopping_gives_every_descriptor_back(queue: EventQueue) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    watcher = ExitWatcher(queue, lambda: NOW)
    watcher.start()
    watcher.watch({"web": main_process(os.getpid())})
    processes.until(lambda: bool(watcher._open), "it is watched")
    watcher.stop()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    never_started = ExitWatcher(queue, lambda: NOW)
    never_started.stop()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_it_says_whether_it_works_here(watcher: ExitWatcher) -> None:
    assert watcher.works
    assert pidfd_works()


def test_where_it_does_not_work_nothing_begins(queue: EventQueue) -> None:
    watcher = ExitWatcher(queue, lambda: NOW)
    watcher.works = False
    watcher.start()
    watcher.watch({"web": MainProcess(2**22 + 3)})
    assert queue.get(0.05) is None
    watcher.stop()
