"""What only the Windows host does; what all hosts do is in tests/contracts/test_actuator_host.py."""

import os
import subprocess
import sys
from pathlib import Path

from fakes.actuator_clock import HandClock
from fakes.windows_control import FakeControl
from homeostat.plan import EndProcess
from homeostat_agent.actuator.host.windows import WindowsHost
from homeostat_agent.actuator.host.windows_services import started
from homeostat_agent.config import Actuator, AgentConfig, Program


def host(root: Path) -> WindowsHost:
    program = Program("mine", os.path.realpath(sys.executable), ("mine-2",))
    config = AgentConfig(actuator=Actuator(data_dir=str(root)), program=(program,))
    return WindowsHost(config, HandClock(), tuple, FakeControl({}))


def test_we_and_those_above_us_are_never_ended(tmp_path: Path) -> None:
    for pid in (os.getpid(), os.getppid()):
        assert not host(tmp_path).run(EndProcess(pid, started(pid), 0.0), 5.0).ok


def test_a_process_of_no_declared_program_is_refused(tmp_path: Path) -> None:
    child = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(1000)", "other-2"))
    try:
        assert not host(tmp_path).run(EndProcess(child.pid, started(child.pid), 0.0), 5.0).ok
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_pywin32_is_not_needed_to_load_it() -> None:
    script = "import sys, homeostat_agent.actuator.host.windows; sys.exit('win32service' in sys.modules)"
    assert subprocess.run((sys.executable, "-I", "-c", script), check=False).returncode == 0
