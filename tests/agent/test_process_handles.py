import errno
import os
import select
import subprocess

import pytest

from fakes import processes
from homeostat_agent.process_handles import open_process
from homeostat_agent.procfs import read_stat


def started(pid: int) -> int:
    found = read_stat(pid)
    assert found is not None
    return found.started


def readable(descriptor: int, within_s: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(within_s * 1000))


@pytest.mark.parametrize("known", [True, False])
def test_a_descriptor_tells_the_end_of_its_process(known: bool) -> None:
    with processes.running(*processes.sleeper()) as child:
        descriptor = open_process(child.pid, started(child.pid) if known else None)
        assert descriptor is not None
        assert not readable(descriptor, 0)
        child.kill()
        assert readable(descriptor, processes.WAIT_S)
        os.close(descriptor)


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_start_time_is_another_process(difference: int) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count of descriptors, not paths
    assert open_process(os.getpid(), started(os.getpid()) + difference) is None
    assert open_process(os.getpid(), 0) is None
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # a count of descriptors, not paths


def test_an_ended_process_has_none_be_it_a_zombie_or_gone() -> None:
    with processes.running(*processes.sleeper()) as child:
        ticks = started(child.pid)
        child.kill()
        processes.until(lambda: (stat := read_stat(child.pid)) is not None and stat.ended, "the zombie")
        assert open_process(child.pid, ticks) is None
        child.wait()
        assert open_process(child.pid, ticks) is None


@pytest.mark.parametrize("pid", [-1, 0, 2**22 + 3])
def test_nobody_has_no_descriptor(pid: int) -> None:
    assert open_process(pid, None) is None
    assert open_process(pid, 1) is None


@pytest.mark.parametrize("descriptors", [3, 4], ids=["none left", "none left for a look at it"])
def test_a_lack_of_descriptors_is_no_end(descriptors: int) -> None:
    # In a child of its own, so that the limit does not reach this process.
    code = (
        "import os, resource, sys\n"
        "from homeostat_agent.process_handles import open_process\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))\n"
        "try:\n    open_process(os.getpid(), 1)\n"
        "except OSError as error:\n    sys.exit(error.errno)\n"
    )
    done = subprocess.run(processes.python(code), check=False)
    assert done.returncode in (errno.EMFILE, errno.ENODATA)
