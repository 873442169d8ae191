from datetime import UTC, datetime

import psutil

from fakes import processes
from homeostat_agent.config import AgentConfig, Program
from homeostat_agent.decider.sensing import windows as module
from homeostat_agent.decider.sensing.windows import Programs, WindowsHost

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SLEEP = Program("sleep", "/bin/sleep", ("43.21",))


def test_what_the_machine_is_and_when_it_booted() -> None:
    host = WindowsHost(AgentConfig(), lambda: NOW)
    assert {"hostname", "os", "architecture", "memory_bytes"} <= set(dict(host.facts()))
    assert host.boot_id().startswith("boot-")
    host.close()


def test_what_is_not_counted_there_is_left_out() -> None:
    host = WindowsHost(AgentConfig(), lambda: NOW)
    values = host.read().sample.values
    assert not {"psi.memory.full", "descriptors.used", "load.1m", "disk.inodes.max"} & set(values)
    assert values["processes.count"] > 1
    host.close()


def test_a_process_that_ended_is_forgotten() -> None:
    programs = Programs([SLEEP])
    with processes.running("/bin/sleep", "43.21") as child:
        processes.until(lambda: "43.21" in psutil.Process(child.pid).cmdline(), "its exec")
        programs.refresh(full=True)
        assert [(one.pid, one.cpu_percent) for one in programs.readings()] == [(child.pid, None)]
        programs.refresh(full=False)
        assert programs.readings()[0].cpu_percent is not None
    programs.refresh(full=False)
    assert programs.readings() == ()
    assert programs._used == {}


def test_only_so_many_processes_are_known() -> None:
    programs = Programs([SLEEP])
    programs._known = {-n: (psutil.Process(), "x") for n in range(1, module.KNOWN_MAX + 1)}
    with processes.running("/bin/sleep", "43.21") as child:
        processes.until(lambda: "43.21" in psutil.Process(child.pid).cmdline(), "its exec")
        programs._scan()
        assert child.pid not in programs._known
        del programs._known[-1]
        programs._scan()
        assert child.pid in programs._known
