import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeostat_controller.demo import processes
from homeostat_controller.demo.processes import Started

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


def wait_until(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Started]:
    started = processes.start(SLEEP, tmp_path / "log")
    yield started
    processes.end([started])


def test_a_started_process_lives_in_a_session_of_its_own(sleeper: Started) -> None:
    assert processes.is_alive(sleeper)
    assert os.getsid(sleeper.pid) == sleeper.pid


def test_end_ends_it(sleeper: Started) -> None:
    processes.end([sleeper])
    assert not processes.is_alive(sleeper)


def test_end_ends_one_that_is_stopped(sleeper: Started) -> None:
    os.kill(sleeper.pid, signal.SIGSTOP)
    processes.end([sleeper])
    assert not processes.is_alive(sleeper)


def test_a_reused_pid_is_left_alone(sleeper: Started) -> None:
    processes.end([Started(sleeper.pid, sleeper.ticks - 1)])
    assert processes.is_alive(sleeper)


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    started = processes.start((sys.executable, "-c", "print('hello')"), tmp_path / "log")
    assert wait_until(lambda: (tmp_path / "log").read_text() == "hello\n")
    processes.end([started])


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    named = {"controller": Started(12, 345), "web-1": Started(67, 890)}
    processes.remember(tmp_path / "processes.json", named)
    assert processes.remembered(tmp_path / "processes.json") == named


def test_nothing_remembered_without_a_file(tmp_path: Path) -> None:
    assert processes.remembered(tmp_path / "processes.json") == {}


def test_a_pid_file_names_its_process(sleeper: Started, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{sleeper.pid}\n{sleeper.ticks}\n")
    assert processes.read_pid_file(tmp_path / "pid") == sleeper


@pytest.mark.parametrize("text", ["", "no number", "4194304000"])
def test_a_pid_file_of_no_process(text: str, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(text)
    assert processes.read_pid_file(tmp_path / "pid") is None


def test_no_pid_file(tmp_path: Path) -> None:
    assert processes.read_pid_file(tmp_path / "pid") is None
