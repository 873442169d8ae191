import os
import time
from pathlib import Path

import pytest

from fakes.actuator_rig import is_running, until
from homeostat_agent.actuator.host import commands
from homeostat_agent.actuator.host.port import CheckResult


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def test_exit_0_passes_with_the_first_line() -> None:
    assert commands.run_check(shell("echo ok; echo more"), "") == CheckResult(passed=True, said="ok")


@pytest.mark.parametrize("code", [1, 2, 127])
def test_any_other_exit_fails(code: int) -> None:
    found = commands.run_check(shell(f"echo 'line 3: no such port' >&2; exit {code}"), "")
    assert found == CheckResult(passed=False, said="line 3: no such port")


def test_a_signal_fails() -> None:
    assert not commands.run_check(shell("kill -9 $$"), "").passed


def test_a_program_that_is_not_there_fails_with_a_reason() -> None:
    found = commands.run_check(("/no/such/program",), "")
    assert found == CheckResult(passed=False, said="/no/such/program cannot be started: No such file or directory")


def test_it_runs_in_its_folder_with_a_cleared_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    found = commands.run_check(shell('pwd; test -z "$SECRET" && test -n "$PATH"'), str(tmp_path))
    assert found == CheckResult(passed=True, said=str(tmp_path))


def test_nothing_can_be_typed_into_it() -> None:
    assert commands.run_check(shell("! read line"), "").passed


def test_much_output_neither_blocks_nor_is_kept() -> None:
    found = commands.run_check(shell("head -c 3000000 /dev/zero | tr '\\0' x"), "")
    assert found == CheckResult(passed=True, said="x" * commands.SAID_CHARACTERS_MAX)


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert commands.run_check(shell(r"printf '\033[31mred'"), "").said == "?[31mred"


def test_what_hangs_is_ended_with_all_its_children_at_the_bound(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    found = commands.run_check(shell(f"sleep 100004 & echo $! > {pid_file}; wait"), "", within_s=0.3)
    assert found == CheckResult(passed=False, said="it did not end within 0.3 s")
    assert time.monotonic() - began < commands.CHECK_S_MAX
    until("the child's end", lambda: not is_running(int(pid_file.read_text())))


def test_one_that_closes_its_output_but_stays_is_ended_too() -> None:
    found = commands.run_check(shell("exec >&- 2>&-; exec sleep 100005"), "", within_s=0.3)
    assert not found.passed


def test_extra_settings_are_added_to_the_environment() -> None:
    assert commands.clean_environment(MARK="x") == {
        "PATH": os.environ["PATH"],
        "MARK": "x",
        **({"LANG": os.environ["LANG"]} if "LANG" in os.environ else {}),
    }
