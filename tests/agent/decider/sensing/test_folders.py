import os
import time
from pathlib import Path

from fakes import processes
from homeostat_agent.config import Folder
from homeostat_agent.decider.sensing import folders as module
from homeostat_agent.decider.sensing.folders import MIB, Folders
from homeostat_agent.decider.sensing.port import FolderReading


def watch(path: Path, limit_mib: float = 1.0) -> Folders:
    return Folders([Folder("logs", str(path), ("*",), limit_mib)])


def logs(folders: Folders) -> FolderReading:
    (found,) = folders.read()
    return found


def test_the_folders_own_limit(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * (MIB // 2))
    found = logs(watch(tmp_path))
    assert found == FolderReading("logs", 50.0, MIB // 2, MIB, 1)


def test_without_a_limit_the_file_system_counts_and_nothing_is_walked(tmp_path: Path) -> None:
    found = logs(watch(tmp_path, 0.0))
    use = os.statvfs(tmp_path)
    assert 0 < found.used_percent < 100
    assert found.files == 0
    assert found.limit_bytes <= use.f_blocks * use.f_frsize


def test_a_missing_folder_is_left_out_until_it_is_there(tmp_path: Path) -> None:
    folders = Folders([Folder("a", str(tmp_path / "a"), ("*",), 1.0), Folder("b", str(tmp_path / "b"), ("*",))])
    assert folders.read() == ()
    (tmp_path / "a").mkdir()
    assert [one.name for one in folders.read()] == ["a"]


def test_growth_over_the_limit_is_found_before_the_next_walk_is_due(tmp_path: Path) -> None:
    folders = watch(tmp_path, 0.5)
    assert logs(folders).used_bytes == 0
    (watched,) = folders._limited
    watched.cost_s = 0.0005  # a walk that cost this much is due again after one second, in haste after 50 ms
    watched.ended_at = time.monotonic()
    (tmp_path / "big").write_bytes(b"x" * 4 * MIB)
    os.sync()
    processes.until(lambda: logs(folders).used_percent > 100, "the growth found")


def test_a_walk_that_was_dear_is_not_repeated_at_every_sample(tmp_path: Path) -> None:
    folders = watch(tmp_path, 1000.0)
    logs(folders)
    (watched,) = folders._limited
    watched.cost_s, watched.ended_at = 1.0, time.monotonic()
    (tmp_path / "small").write_bytes(b"x")
    assert logs(folders).files == 0
    watched.ended_at -= 1.0 / module.WALK_SHARE
    assert logs(folders).files == 1


def test_above_the_limit_a_fall_of_the_file_systems_use_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 2 * MIB)
    folders = watch(tmp_path)
    assert logs(folders).used_percent > 100
    (watched,) = folders._limited
    watched.cost_s, watched.ended_at = 0.001, time.monotonic() - 1.0
    (tmp_path / "big").unlink()
    watched.file_system_bytes = module._used_bytes(str(tmp_path)) + MIB
    assert logs(folders).used_percent == 0


def test_a_large_folder_is_walked_in_slices_and_its_last_reading_stays_meanwhile(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / str(number)).touch()
    folders = watch(tmp_path)
    processes.until(lambda: bool(folders.read()), "the first walk")
    (watched,) = folders._limited
    watched.cost_s = 0.0
    before = watched.reading
    module._go_on(watched, 0.0)
    assert watched.walk is not None
    assert watched.reading is before
    processes.until(lambda: bool(folders.read()) and watched.walk is None, "the walk's end")
    assert logs(folders).files == 2000
