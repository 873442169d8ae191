import os
from pathlib import Path

from homeostat_agent.decider.sensing import walking
from homeostat_agent.decider.sensing.walking import Walk, disk_bytes


def walked(path: Path) -> Walk:
    walk = Walk(str(path))
    while walk.step():
        pass
    return walk


def test_all_files_below_are_added_up_by_what_they_take_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for number, name in enumerate(("one", "a/two", "a/b/three"), 1):
        (tmp_path / name).write_bytes(b"x" * 10_000 * number)
    walk = walked(tmp_path)
    expected = sum(disk_bytes(path.stat()) for path in tmp_path.rglob("*") if path.is_file())
    assert (walk.used_bytes, walk.files) == (expected, 3)
    assert walk.used_bytes >= 60_000


def test_links_are_not_followed_and_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/big").write_bytes(b"x" * 1_000_000)
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    (tmp_path / "inside/one").write_bytes(b"x" * 4096)
    os.link(tmp_path / "inside/one", tmp_path / "inside/other-name")
    walk = walked(tmp_path / "inside")
    assert walk.files == 2  # the file, and the link itself
    assert walk.used_bytes < 100_000


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    walk = walked(tmp_path / "none")
    assert (walk.used_bytes, walk.files) == (0, 0)


def test_a_walk_goes_in_steps(tmp_path: Path) -> None:
    for number in range(walking.STEP_ENTRIES + 1):
        (tmp_path / str(number)).touch()
    walk = Walk(str(tmp_path))
    assert walk.step()
    assert walk.files == walking.STEP_ENTRIES
    assert not walk.step()
    assert walk.files == walking.STEP_ENTRIES + 1


def test_a_walk_ends_at_its_bound(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).touch()
    walk = Walk(str(tmp_path))
    walk._left = 5
    assert not walk.step()
    assert walk.files == 5


def test_another_file_system_below_is_left_out() -> None:
    # /proc lies below the root on a file system of its own.
    root = os.lstat("/").st_dev
    found = [one for one in os.scandir("/") if one.name == "proc"]
    assert found[0].stat().st_dev != root
    listed = {entry.name for entry, stat in walking._listing("/") if stat.st_dev == root}
    assert "proc" not in listed
