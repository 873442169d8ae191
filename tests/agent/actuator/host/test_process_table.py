import os
import subprocess
import sys
from pathlib import Path

from fakes.actuator_rig import is_running, until
from homeostat_agent.actuator.host import process_table


def test_this_process_is_found_as_the_kernel_tells_it() -> None:
    found = process_table.process(os.getpid())
    assert found is not None
    assert (found.pid, found.parent, found.group, found.session) == (
        os.getpid(),
        os.getppid(),
        os.getpgid(0),
        os.getsid(0),
    )
    assert found.state == "R"
    assert found.started <= process_table.this_moment().ticks


def test_a_zombie_and_a_free_number_are_no_process() -> None:
    child = subprocess.Popen(("/bin/true",))
    until("the zombie", lambda: not is_running(child.pid))
    assert process_table.process(child.pid) is None
    assert child.pid not in {one.pid for one in process_table.processes()}
    child.wait()
    assert process_table.process(child.pid) is None
    assert process_table.owner(child.pid) is None


def test_what_a_process_was_started_with() -> None:
    argv = (sys.executable, "-c", "import time; print(flush=True); time.sleep(100)")
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, env={"LONG": "x" * 20_000, "MARK": "x=y"})
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert process_table.has_environment(child.pid, "MARK=x=y")
        assert not process_table.has_environment(child.pid, "MARK=x")
        assert process_table.owner(child.pid) == os.geteuid()
        assert process_table.ancestors(child.pid) >= {child.pid, os.getpid(), os.getppid()}
        child.stdout.close()
    finally:
        child.kill()
        child.wait()


def test_the_boot_is_named_and_the_moment_goes_on() -> None:
    one, other = process_table.this_moment(), process_table.this_moment()
    assert one.boot == other.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert one.ticks <= other.ticks
