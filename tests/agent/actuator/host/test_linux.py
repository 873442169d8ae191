import os
from pathlib import Path

from fakes.actuator_clock import HandClock
from homeostat.plan import RemoveFile
from homeostat_agent.actuator.host.linux import PURGE_PERIOD_S, LinuxHost
from homeostat_agent.actuator.host.port import FolderFacts, FolderQuery, Missing
from homeostat_agent.actuator.host.trash import KEPT_S_MAX
from homeostat_agent.config import Actuator, AgentConfig, Folder


def host(root: Path, clock: HandClock, limit_mib: float = 1.0) -> LinuxHost:
    for name in ("cache", "actuator"):
        (root / name).mkdir(exist_ok=True)
    folder = Folder("cache", str(root / "cache"), ("*.tmp",), limit_mib)
    config = AgentConfig(actuator=Actuator(data_dir=str(root / "actuator")), folder=(folder,))
    return LinuxHost(config, clock, tuple)


def read(one: LinuxHost, minimum_age_s: float | None = 0.0) -> FolderFacts | Missing:
    query = FolderQuery("cache", minimum_age_s)
    found = one.read([query])[query]
    assert isinstance(found, FolderFacts | Missing)
    return found


def write(root: Path, age_s: float, clock: HandClock) -> Path:
    path = root / "cache" / "a.tmp"
    path.write_bytes(b"x" * 4096)
    then = clock.now().timestamp() - age_s
    os.utime(path, (then, then))
    return path


def test_age_counts_on_the_clock_that_was_given(tmp_path: Path) -> None:
    clock = HandClock()
    one = host(tmp_path, clock)
    write(tmp_path, 59.0, clock)
    found = read(one, 60.0)
    assert isinstance(found, FolderFacts)
    assert found.files == ()
    clock.forward(1.0)
    found = read(one, 60.0)
    assert isinstance(found, FolderFacts)
    assert [file.path for file in found.files] == ["a.tmp"]


def test_a_folder_without_a_limit_of_its_own_is_its_file_system_and_keeps_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    one = host(tmp_path, clock, limit_mib=0.0)
    write(tmp_path, 10.0, clock)
    found = read(one)
    assert isinstance(found, FolderFacts)
    assert not found.own_limit
    assert not found.can_keep
    assert found.limit_bytes > 1 << 24
    assert [file.path for file in found.files] == ["a.tmp"]


def test_a_folder_that_is_missing_is_missing(tmp_path: Path) -> None:
    one = host(tmp_path, HandClock())
    (tmp_path / "cache").rmdir()
    assert isinstance(read(one), Missing)
    assert isinstance(read(one, None), Missing)


def test_the_trash_is_looked_through_only_so_often(tmp_path: Path) -> None:
    clock = HandClock()
    one = host(tmp_path, clock)
    one.tidy()
    status = write(tmp_path, 10.0, clock).stat()
    assert one.run(RemoveFile("cache", "a.tmp", status.st_size, status.st_mtime_ns), 10.0).ok
    (kept,) = (tmp_path / "actuator" / "trash" / "cache").iterdir()
    clock.wall = clock.wall.fromtimestamp(kept.stat().st_ctime + KEPT_S_MAX + 60.0, clock.wall.tzinfo)
    clock.monotonic += PURGE_PERIOD_S - 1.0
    one.tidy()
    assert kept.exists()
    clock.monotonic += 1.0
    one.tidy()
    assert not kept.exists()
