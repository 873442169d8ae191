import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakes.actuator_rig import is_running, until
from homeostat.plan import EndProcess
from homeostat_agent.actuator.host import process_table, programs
from homeostat_agent.config import Program

SLEEPY = "import sys, time; print(flush=True); time.sleep(1000)"


@contextmanager
def running(*argv: str) -> Iterator[int]:
    """Run a program that prints a line once it is there."""
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def script(folder: Path, name: str = "report", first: str = f"#!{sys.executable}") -> Path:
    path = folder / name
    path.write_text(f"{first}\n{SLEEPY}\n")
    path.chmod(0o700)
    return path


def found(program: Program) -> list[int]:
    return [one.pid for one in programs.find(program)]


def started(pid: int) -> int:
    row = process_table.process(pid)
    assert row is not None
    return row.started


def test_an_interpreter_s_script_is_told_by_its_arguments() -> None:
    with running(sys.executable, "-c", SLEEPY, "--kind", "report", "--for", "x") as pid:
        assert pid in found(Program("report", sys.executable, ("--kind", "report")))
        assert pid in found(Program("report", str(Path(sys.executable).resolve()), ("--kind", "--for")))
        assert pid not in found(Program("report", sys.executable, ("report", "--kind")))
        assert pid not in found(Program("report", sys.executable, ("--kind", "other")))
        assert pid not in found(Program("report", "/bin/sleep"))


def test_a_script_is_told_by_its_path(tmp_path: Path) -> None:
    mine, other = script(tmp_path), script(tmp_path, "other")
    with running(str(mine), "daily") as pid:
        assert found(Program("report", str(mine), ("daily",))) == [pid]
        assert found(Program("report", str(mine), ("weekly",))) == []
        assert found(Program("report", str(other))) == []


def test_a_script_behind_an_option_of_its_interpreter_is_found(tmp_path: Path) -> None:
    mine = script(tmp_path, first=f"#!{sys.executable} -u")
    with running(str(mine)) as pid:
        assert found(Program("report", str(mine))) == [pid]


def test_a_program_that_was_replaced_while_it_ran_is_still_it(tmp_path: Path) -> None:
    program = tmp_path / "mine"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o700)
    child = subprocess.Popen((str(program),), stdin=subprocess.PIPE)
    try:
        program.unlink()
        assert found(Program("mine", str(program))) == [child.pid]
    finally:
        child.communicate()


def test_naming_a_program_is_not_running_it(tmp_path: Path) -> None:
    mine = script(tmp_path)
    with running(sys.executable, "-c", SLEEPY, "a", "b", str(mine)):
        assert found(Program("report", str(mine))) == []


def test_reading_a_script_is_not_running_it(tmp_path: Path) -> None:
    mine = script(tmp_path)
    with running("/usr/bin/tail", "-f", str(mine)):
        assert found(Program("report", str(mine))) == []


def test_use_is_measured_over_the_interval() -> None:
    burn = "import time\nprint(flush=True)\nwhile True: pass"
    with running(sys.executable, "-c", burn, "burner-1") as pid:
        (busy,) = programs.measure(Program("burner", sys.executable, ("burner-1",)), 0.2, ())
        assert (busy.pid, busy.started, busy.protected) == (pid, started(pid), "")
        assert busy.cpu_percent > 10.0
    with running(sys.executable, "-c", SLEEPY, "sleeper-1"):
        (calm,) = programs.measure(Program("sleeper", sys.executable, ("sleeper-1",)), 0.2, ())
        assert calm.cpu_percent <= 10.0


def test_nothing_to_measure_takes_no_time() -> None:
    began = time.monotonic()
    assert programs.measure(Program("none", "/no/such/program"), 30.0, ()) == ()
    assert time.monotonic() - began < 30.0


def test_we_and_those_above_us_are_protected_and_so_is_whoever_is_named() -> None:
    (me,) = [one for one in programs.measure(Program("me", sys.executable), 0.01, ()) if one.pid == _me()]
    assert me.protected
    with running(sys.executable, "-c", SLEEPY, "named-1") as pid:
        (named,) = programs.measure(Program("named", sys.executable, ("named-1",)), 0.01, (pid,))
        assert named.protected


def test_a_declared_program_s_process_is_ended() -> None:
    with running(sys.executable, "-c", SLEEPY, "end-1") as pid:
        program = Program("end", sys.executable, ("end-1",))
        result = programs.end([program], EndProcess(pid, started(pid), 5.0), time.monotonic() + 20, ())
        assert (result.ok, result.detail) == (True, f"ended process {pid} with SIGTERM")
        assert not is_running(pid)


def test_one_that_does_not_listen_is_killed_after_its_grace() -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPY}"
    with running(sys.executable, "-c", deaf, "deaf-1") as pid:
        program = Program("deaf", sys.executable, ("deaf-1",))
        result = programs.end([program], EndProcess(pid, started(pid), 0.1), time.monotonic() + 20, ())
        assert (result.ok, result.detail) == (True, f"ended process {pid} with SIGKILL")


def test_a_process_of_no_declared_program_is_refused() -> None:
    with running(sys.executable, "-c", SLEEPY, "mine-1") as pid:
        other = Program("other", sys.executable, ("other-1",))
        assert not programs.end([other], EndProcess(pid, started(pid), 0.0), time.monotonic() + 20, ()).ok
        assert is_running(pid)


def test_the_system_s_first_process_is_refused() -> None:
    result = programs.end([Program("init", "/sbin/init")], EndProcess(1, 0, 0.0), time.monotonic() + 20, ())
    assert not result.ok


def test_what_has_ended_has_ended() -> None:
    child = subprocess.Popen(("/bin/true",))
    until("its end", lambda: not is_running(child.pid))
    result = programs.end([], EndProcess(child.pid, 1, 0.0), time.monotonic() + 20, ())
    child.wait()
    assert result.ok


def _me() -> int:
    return int(Path("/proc/self").resolve().name)
