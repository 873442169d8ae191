import os
import time
from pathlib import Path

from fakes import processes
from homeostat_agent.decider.watching import checking as module
from homeostat_agent.decider.watching.checking import Verdict, run_check


def test_exit_0_is_valid_and_anything_else_is_not() -> None:
    assert run_check(processes.python("print('fine')")) == Verdict(True, "fine")
    assert run_check(processes.python("import sys; print('line 3: bad'); sys.exit(2)")) == Verdict(False, "line 3: bad")


def test_what_is_written_as_an_error_counts_too_and_only_its_first_line() -> None:
    code = "import sys; sys.stderr.write('\\n  first\\nsecond\\n'); sys.exit(1)"
    assert run_check(processes.python(code)) == Verdict(False, "first")


def test_a_silent_check_still_has_words() -> None:
    assert run_check(("/bin/false",)).said == "/bin/false ended with 1"
    assert run_check(("/bin/true",)) == Verdict(True, "/bin/true ended with 0")


def test_a_check_that_cannot_be_started_is_no_answer() -> None:
    found = run_check(("/none/such", "x"))
    assert found.valid is None
    assert found.said == "/none/such cannot be started: No such file or directory"


def test_a_check_that_does_not_end_is_no_answer_and_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time; child = subprocess.Popen(['/bin/sleep', '60']); "
        f"open('{tmp_path}/pid', 'w').write(str(child.pid)); time.sleep(60)"
    )
    began = time.monotonic()
    found = run_check(processes.python(code), 1.0)
    assert found.valid is None
    assert "did not end within 1 s" in found.said
    assert time.monotonic() - began < 30
    child = int((tmp_path / "pid").read_text())
    processes.until(lambda: not _alive(child), "its child is ended too")


def test_a_check_that_closes_its_output_and_goes_on_is_ended_as_well() -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(60)"
    assert run_check(processes.python(code), 0.5).valid is None


def test_output_is_bounded_and_unprintable_characters_are_replaced() -> None:
    code = "import sys; sys.stdout.write('\\x1b[31m' + 'x' * 10_000_000); sys.exit(1)"
    found = run_check(processes.python(code))
    assert found.valid is False
    assert found.said.startswith("?[31mxxx")
    assert len(found.said) == module.LINE_CHARACTERS_MAX


def test_the_environment_is_cleared_and_the_folder_is_the_root() -> None:
    os.environ["HOMEOSTAT_TEST_SECRET"] = "1"
    try:
        code = "import os; print(sorted(set(os.environ) - {'PATH', 'LANG', 'LC_CTYPE'}), os.getcwd())"
        assert run_check(processes.python(code)) == Verdict(True, "[] /")
    finally:
        del os.environ["HOMEOSTAT_TEST_SECRET"]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
