from pathlib import Path

import pytest

from homeostat_agent.decider.sensing import cgroups as module
from homeostat_agent.decider.sensing.cgroups import Cgroups

GROUP = "/system.slice/web.service"


def machine(root: Path, mounts: str, **files: str) -> Cgroups:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(mounts.format(root=root))
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_stat", ".stat").replace("_procs", ".procs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Cgroups(root / "proc")


def place(root: Path, hierarchy: str, name: str, content: str) -> None:
    path = root / f"{hierarchy}{GROUP}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


UNIFIED = "30 20 0:26 / {root}/unified rw - cgroup2 cgroup2 rw\n"
SPLIT = (
    "35 31 0:32 / {root}/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:30 / {root}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "40 31 0:37 / {root}/systemd rw - cgroup cgroup rw,name=systemd\n"
)


def test_one_hierarchy_for_all(tmp_path: Path) -> None:
    groups = machine(tmp_path, UNIFIED)
    place(tmp_path, "unified", "memory.stat", "anon 1000\nfile 999999\nfile_mapped 200\nodd line here\n")
    place(tmp_path, "unified", "cpu.stat", "usage_usec 1500000\nuser_usec 1\n")
    place(tmp_path, "unified", "cgroup.procs", "10\n11\n")
    assert groups.memory_bytes(GROUP) == 1200
    assert groups.cpu_s(GROUP) == pytest.approx(1.5)
    assert groups.pids(GROUP) == (10, 11)
    groups.close()


def test_one_hierarchy_per_controller(tmp_path: Path) -> None:
    groups = machine(tmp_path, SPLIT)
    place(tmp_path, "memory", "memory.stat", "rss 1\ntotal_rss 3000\ntotal_mapped_file 500\ntotal_cache 9999\n")
    place(tmp_path, "cpu", "cpuacct.usage", "2500000000\n")
    place(tmp_path, "systemd", "cgroup.procs", "12\n")
    assert groups.memory_bytes(GROUP) == 3500
    assert groups.cpu_s(GROUP) == pytest.approx(2.5)
    assert groups.pids(GROUP) == (12,)
    groups.close()


def test_a_hierarchy_without_controllers_counts_nothing_but_knows_the_processes(tmp_path: Path) -> None:
    groups = machine(tmp_path, UNIFIED + SPLIT)
    place(tmp_path, "unified", "cgroup.procs", "13\n")
    place(tmp_path, "unified", "cpu.stat", "nr_periods 0\n")
    assert groups.memory_bytes(GROUP) is None
    assert groups.cpu_s(GROUP) is None
    assert groups.pids(GROUP) == (13,)


def test_a_group_that_was_made_again_is_read_again(tmp_path: Path) -> None:
    groups = machine(tmp_path, UNIFIED)
    place(tmp_path, "unified", "memory.stat", "anon 1\n")
    assert groups.memory_bytes(GROUP) == 1
    place(tmp_path, "unified", "memory.stat", "anon 2\n")
    assert groups.memory_bytes(GROUP) == 2
    groups.close()


@pytest.mark.parametrize("group", ["", "relative", "/none/such"])
def test_a_group_that_is_none_has_nothing(tmp_path: Path, group: str) -> None:
    groups = machine(tmp_path, UNIFIED)
    assert (groups.memory_bytes(group), groups.cpu_s(group), groups.pids(group)) == (None, None, ())


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    groups = machine(tmp_path, "rubbish\n1 2 - x\n")
    assert (groups.memory_bytes(GROUP), groups.cpu_s(GROUP), groups.pids(GROUP)) == (None, None, ())


def test_only_so_many_files_stay_open(tmp_path: Path) -> None:
    groups = machine(tmp_path, UNIFIED)
    for number in range(module.KEPT_MAX + 1):
        groups.cpu_s(f"/{number}")
        assert len(groups._files) <= module.KEPT_MAX
    groups.close()
    assert not groups._files
