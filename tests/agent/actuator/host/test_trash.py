import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.actuator_rig import until
from homeostat.plan import RemoveFile, RestoreFile
from homeostat_agent.actuator.host import trash as trash_module
from homeostat_agent.actuator.host.trash import KEPT_BYTES_MAX, KEPT_S_MAX, Trash, kept_name
from homeostat_agent.config import Folder

NOW_S = 2_000_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "cache").mkdir()
    return Folder("cache", str(tmp_path / "cache"), ("*.tmp",), 1.0)


@pytest.fixture
def trash(tmp_path: Path) -> Trash:
    return Trash(tmp_path / "trash")


def write(folder: Folder, path: str, content: bytes = b"content") -> RemoveFile:
    """Write a file, and return the step that takes it out."""
    file = Path(folder.path, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    status = file.stat()
    return RemoveFile("cache", path, status.st_size, status.st_mtime_ns)


def for_good(step: RemoveFile) -> RemoveFile:
    return RemoveFile(step.folder, step.path, step.size_bytes, step.modified_ns, keep=False)


def test_a_kept_file_lies_in_the_trash_where_only_we_can_look(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    assert trash.remove(folder, write(folder, "sub/a.tmp")).ok
    kept = tmp_path / "trash" / "cache" / kept_name("sub/a.tmp")
    assert kept.read_bytes() == b"content"
    assert (tmp_path / "trash").stat().st_mode & 0o777 == 0o700
    assert kept.name.endswith("-a.tmp")


def test_files_of_one_name_do_not_meet_in_the_trash(trash: Trash, folder: Folder) -> None:
    for path in ("one/a.tmp", "two/a.tmp", "a.tmp"):
        trash.remove(folder, write(folder, path, path.encode()))
    for path in ("one/a.tmp", "two/a.tmp", "a.tmp"):
        assert trash.restore(folder, RestoreFile("cache", path)).ok
        assert Path(folder.path, path).read_text() == path


def test_a_very_long_name_is_kept_too(trash: Trash, folder: Folder) -> None:
    path = "é" * 120 + ".tmp"
    assert trash.remove(folder, write(folder, path)).ok
    assert trash.restore(folder, RestoreFile("cache", path)).ok
    assert Path(folder.path, path).exists()


def test_removing_for_good_leaves_nothing(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    assert trash.remove(folder, for_good(write(folder, "a.tmp"))).ok
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_a_link_in_the_file_s_place_is_not_followed(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    victim = tmp_path / "victim.tmp"
    victim.write_bytes(b"content")
    step = write(folder, "a.tmp")
    Path(folder.path, "a.tmp").unlink()
    Path(folder.path, "a.tmp").symlink_to(victim)
    assert not trash.remove(folder, step).ok
    assert victim.exists()


def test_a_link_in_a_directory_s_place_is_not_followed(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    step = write(folder, "sub/a.tmp")
    outside = tmp_path / "outside"
    Path(folder.path, "sub").rename(outside)
    Path(folder.path, "sub").symlink_to(outside)
    assert not trash.remove(folder, step).ok
    assert (outside / "a.tmp").exists()


def test_a_second_name_of_another_s_file_is_refused(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    step = write(folder, "a.tmp")
    os.link(Path(folder.path, "a.tmp"), tmp_path / "another.tmp")
    assert not trash.remove(folder, step).ok
    assert Path(folder.path, "a.tmp").exists()


def test_a_directory_that_has_gone_keeps_the_file_in_the_trash(trash: Trash, folder: Folder) -> None:
    trash.remove(folder, write(folder, "sub/a.tmp"))
    Path(folder.path, "sub").rmdir()
    assert not trash.restore(folder, RestoreFile("cache", "sub/a.tmp")).ok
    Path(folder.path, "sub").mkdir()
    assert trash.restore(folder, RestoreFile("cache", "sub/a.tmp")).ok


def test_a_restore_that_was_cut_off_between_its_two_halves_is_completed(
    tmp_path: Path, trash: Trash, folder: Folder
) -> None:
    trash.remove(folder, write(folder, "a.tmp"))
    kept = tmp_path / "trash" / "cache" / kept_name("a.tmp")
    os.link(kept, Path(folder.path, "a.tmp"))
    assert trash.restore(folder, RestoreFile("cache", "a.tmp")).ok
    assert not kept.exists()
    assert Path(folder.path, "a.tmp").stat().st_nlink == 1


def test_a_trash_on_another_file_system_serves_nobody(folder: Folder) -> None:
    elsewhere = Path("/dev/shm")  # noqa: S108  # a file system of its own on every Linux
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == Path(folder.path).stat().st_dev:
        pytest.skip("no second file system here")
    far = Trash(elsewhere / f"homeostat-test-{os.getpid()}")
    step = write(folder, "a.tmp")
    try:
        assert not far.serves(folder)
        assert not far.remove(folder, step).ok
        assert Path(folder.path, "a.tmp").exists()
        assert far.remove(folder, for_good(step)).ok
        assert not Path(folder.path, "a.tmp").exists()
    finally:
        (elsewhere / f"homeostat-test-{os.getpid()}").rmdir()


def test_what_lay_too_long_goes_at_the_bound_and_not_before(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    trash.remove(folder, write(folder, "a.tmp"))
    (kept,) = (tmp_path / "trash" / "cache").iterdir()
    moved_at = kept.stat().st_ctime
    assert trash.purge(moved_at + KEPT_S_MAX) == 0
    assert trash.purge(moved_at + KEPT_S_MAX + 1) == 1
    assert not kept.exists()


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path, trash: Trash, folder: Folder) -> None:
    for path in ("first.tmp", "second.tmp"):
        trash.remove(folder, write(folder, path))
    part = tmp_path / "trash" / "cache"
    os.truncate(part / kept_name("second.tmp"), KEPT_BYTES_MAX - 7)  # sparse: only its length is that large
    first, second = part / kept_name("first.tmp"), part / kept_name("second.tmp")
    now_s = touch_last(first, second)
    assert trash.purge(now_s) == 0
    os.truncate(second, KEPT_BYTES_MAX - 6)
    touch_last(first, second)
    assert trash.purge(now_s) == 1
    assert [one.name for one in part.iterdir()] == [kept_name("first.tmp")]


def touch_last(one: Path, other: Path) -> float:
    """Make it look as if `one` was moved after `other`; return when."""

    def touched() -> float | None:
        os.utime(one)
        moved_at = one.stat().st_ctime
        return moved_at if moved_at > other.stat().st_ctime else None

    return until("a later tick of the file system", touched)


def test_an_empty_trash_is_no_error(trash: Trash) -> None:
    assert trash.purge(NOW_S) == 0


# What an attacker who may write in the folder does at one moment of a removal. `victim` is a file of somebody else's.
def link_to_victim(cache: Path, victim: Path) -> None:
    (cache / "sub/a.tmp").rename(cache / "sub/aside")
    (cache / "sub/a.tmp").symlink_to(victim)


def move_victim_in(cache: Path, victim: Path) -> None:
    victim.replace(cache / "sub/a.tmp")


def link_to_victim_s_directory(cache: Path, victim: Path) -> None:
    (cache / "sub").rename(cache / "aside")
    (cache / "sub").symlink_to(victim.parent)


Swap = Callable[[Path, Path], None]


class Racer:
    """Strikes once, just before the `strike_at`-th thing that the code under test asks of the file system.

    Python's audit events name each such call before it is made, so every boundary is tried, and none by luck.
    """

    def __init__(self) -> None:
        self.swap: Callable[[], None] | None = None
        self.left = 0
        sys.addaudithook(self._hear)

    def arm(self, strike_at: int, swap: Callable[[], None]) -> None:
        self.left, self.swap = strike_at, swap

    def disarm(self) -> bool:
        """Return whether it struck."""
        struck, self.swap = self.swap is None, None
        return struck

    def _hear(self, event: str, _arguments: object) -> None:
        if self.swap is None or not event.startswith(("os.", "open")):
            return
        self.left -= 1
        if self.left < 0:
            swap, self.swap = self.swap, None
            with contextlib.suppress(FileNotFoundError):
                swap()


RACER = Racer()
BOUNDARIES_MAX = 60


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("swap", [link_to_victim, move_victim_in, link_to_victim_s_directory])
def test_a_swap_at_any_moment_costs_nobody_a_file(tmp_path: Path, swap: Swap, keep: bool) -> None:
    boundaries = 0
    while remove_under_attack(tmp_path / str(boundaries), swap, keep=keep, strike_at=boundaries):
        boundaries += 1
        assert boundaries < BOUNDARIES_MAX
    assert boundaries > 5


def remove_under_attack(root: Path, swap: Swap, *, keep: bool, strike_at: int) -> bool:
    """Remove a file while somebody strikes; say whether there was such a moment. No victim may be lost or taken."""
    folder = Folder("cache", str(root / "cache"), ("*.tmp",), 1.0)
    step = write(folder, "sub/a.tmp", b"planned")
    victim = root / "another" / "a.tmp"
    victim.parent.mkdir()
    victim.write_bytes(b"victim!")
    # As like the planned file as can be: nobody can set the times of a file of somebody else's.
    same_time = step.modified_ns + (swap is move_victim_in)
    os.utime(victim, ns=(same_time, same_time))
    RACER.arm(strike_at, lambda: swap(Path(folder.path), victim))
    Trash(root / "trash").remove(folder, step if keep else for_good(step))
    struck = RACER.disarm()
    places = [one for one in root.rglob("*") if one.is_file() and not one.is_symlink()]
    kept = {one.read_bytes(): one for one in places}
    assert b"victim!" in kept, strike_at
    assert root / "trash" not in kept[b"victim!"].parents, strike_at
    return struck


def test_the_module_s_bounds_are_what_the_page_says() -> None:
    assert (trash_module.KEPT_S_MAX, trash_module.KEPT_BYTES_MAX) == (86_400.0, 1 << 30)
