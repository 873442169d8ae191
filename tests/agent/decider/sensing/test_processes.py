import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes import processes
from homeostat_agent.config import Program
from homeostat_agent.decider.sensing import processes as module
from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.decider.sensing.processes import ProcessTable, cpu_s, memory_bytes
from homeostat_agent.procfs import CLOCK_TICKS, PAGE_BYTES, PROC, read_stat

NONE: frozenset[int] = frozenset()
SLEEP = Program("sleep", "/bin/sleep", ("54.321",))
ASLEEP = ("/bin/sleep", "54.321")


def test_a_process_of_a_program_is_found_by_a_full_scan_and_read_without_one() -> None:
    table = ProcessTable([SLEEP])
    with processes.running(*ASLEEP) as child:
        processes.until(lambda: b"54.321" in Path(f"/proc/{child.pid}/cmdline").read_bytes(), "its exec")
        table.refresh(NONE, full=False)
        assert table.readings() == ()
        table.refresh(NONE, full=True)
        (first,) = table.readings()
        assert (first.program, first.pid, first.cpu_percent) == ("sleep", child.pid, None)
        time.sleep(0.02)
        table.refresh(NONE, full=False)
        (second,) = table.readings()
        assert second.cpu_percent == 0.0
    table.refresh(NONE, full=False)
    assert table.readings() == ()
    table.close()


def test_a_burner_uses_about_one_cpu() -> None:
    table = ProcessTable([Program("burner", sys.executable, ("burn",))])
    with processes.running(*processes.python(processes.BURN, "burn")) as child:
        processes.until(lambda: b"burn" in Path(f"/proc/{child.pid}/cmdline").read_bytes(), "its exec")
        table.refresh(NONE, full=True)

        def burns() -> bool:
            time.sleep(0.2)
            table.refresh(NONE, full=False)
            return (table.readings()[0].cpu_percent or 0.0) > 20.0

        processes.until(burns, "it burns")
        assert (table.readings()[0].cpu_percent or 0.0) < 150.0
    table.close()


def test_counts_of_the_whole_machine() -> None:
    table = ProcessTable([])
    table.refresh(NONE, full=False)
    assert table.count > 1
    assert ProcessTable([]).zombies is None  # not known before the first full scan
    with processes.running(*processes.sleeper()) as child:
        os.kill(child.pid, signal.SIGKILL)
        processes.until(lambda: (stat := read_stat(child.pid)) is not None and stat.ended, "a zombie")
        table.refresh(NONE, full=True)
        assert (table.zombies or 0) >= 1


def test_a_new_leader_is_looked_for_at_once_with_its_whole_group() -> None:
    table = ProcessTable([])
    spawn = "import subprocess, time; subprocess.Popen(['/bin/sleep', '60']); print(flush=True); time.sleep(60)"
    with processes.running(*processes.python(spawn)) as leader:
        wanted = frozenset({leader.pid})

        def both() -> bool:
            table.refresh(wanted, full=False)
            table.refresh(wanted, full=True)
            return len(table.group(leader.pid)) == 2

        table.refresh(wanted, full=False)
        assert leader.pid in {one.pid for one in table.group(leader.pid)}
        processes.until(both, "the child found by a scan")
        members = table.group(leader.pid)
        assert {one.session for one in members} == {leader.pid}
        assert memory_bytes(members) > memory_bytes([one for one in members if one.pid == leader.pid])

    def gone() -> bool:
        table.refresh(NONE, full=False)
        return table.group(leader.pid) == ()

    processes.until(gone, "the end of the whole group")
    table.close()


def test_a_group_that_is_no_longer_declared_is_forgotten_at_the_next_scan() -> None:
    table = ProcessTable([])
    with processes.running(*processes.sleeper()) as child:
        table.refresh(frozenset({child.pid}), full=False)
        assert table.group(child.pid)
        table.refresh(NONE, full=True)
        assert table.group(child.pid) == ()


def test_memory_of_one_process_is_its_resident_size() -> None:
    with processes.running(*processes.eater(50 << 20)) as child:
        stat = read_stat(child.pid)
        assert stat is not None
        processes.until(lambda: memory_bytes([stat]) > 50 << 20, "it has eaten")
        assert memory_bytes([stat]) < 100 << 20
    assert memory_bytes([stat]) == 0


def test_shared_pages_count_once(tmp_path: Path) -> None:
    for pid, (resident, shared) in {1: (100, 60), 2: (80, 50)}.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "statm").write_text(f"500 {resident} {shared} 1 0 1 0\n")
    own = read_stat(os.getpid())
    assert own is not None
    assert memory_bytes([own._replace(pid=1), own._replace(pid=2)], tmp_path) == (40 + 30 + 60) * PAGE_BYTES


def test_processor_time_includes_ended_children() -> None:
    own = read_stat(os.getpid())
    assert own is not None
    changed = own._replace(ticks=50, ended_children_ticks=150)
    assert cpu_s([changed, changed]) == pytest.approx(400 / CLOCK_TICKS)


def test_only_so_many_descriptors_stay_open() -> None:
    table = ProcessTable([])
    own = read_stat(os.getpid())
    assert own is not None
    kept = [table._keep(own.pid) for _ in range(3)]
    assert all(one is not None for one in kept)
    for number in range(module.KEPT_MAX):
        table._known[-number - 1] = module.Known(own, (), KeptFile("/none"))
    assert table._keep(own.pid) is None
    known = module.Known(own, (), None)
    assert known.refresh(PROC)
    assert not known.kept


def test_only_so_many_processes_are_known() -> None:
    table = ProcessTable([])
    own = read_stat(os.getpid())
    assert own is not None
    nobody = module.Known(own, (), None)
    table._known = {-number - 1: nobody for number in range(module.KNOWN_MAX)}
    table._place(own, ("a",), wanted=True)
    assert own.pid not in table._known
    del table._known[-1]
    table._place(own, ("a",), wanted=True)
    assert own.pid in table._known


def test_a_process_that_became_another_program_is_looked_at_again() -> None:
    table = ProcessTable([SLEEP])
    change = f"import os, time, sys; sys.stdin.read(); os.execv('{ASLEEP[0]}', {list(ASLEEP)})"
    read, write = os.pipe()
    child = subprocess.Popen(processes.python(change), stdin=read, start_new_session=True)
    os.close(read)
    try:
        table.refresh(NONE, full=True)
        assert table.readings() == ()
        os.close(write)
        processes.until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"/bin/sleep"), "its exec")
        table.refresh(NONE, full=True)
        assert [one.pid for one in table.readings()] == [child.pid]
    finally:
        processes.finish(child)
