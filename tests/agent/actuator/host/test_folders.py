import os
from pathlib import Path

import pytest

from homeostat_agent.actuator.host import folders
from homeostat_agent.config import Folder

FOREVER_NS = 2**62


def declared(path: Path, *patterns: str) -> Folder:
    return Folder("cache", str(path), patterns or ("*.tmp",), 1.0)


def write(path: Path, count: int = 4096, modified_ns: int = 10**18) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * count)
    os.utime(path, ns=(modified_ns, modified_ns))
    return path


def listed(path: Path, before_ns: int = FOREVER_NS) -> list[str]:
    return [one.path for one in folders.contents(declared(path), before_ns).files]


def test_all_files_count_and_only_declared_names_are_listed_oldest_first(tmp_path: Path) -> None:
    write(tmp_path / "b.tmp", modified_ns=2 * 10**18)
    write(tmp_path / "deep/er/a.tmp", modified_ns=10**18)
    write(tmp_path / "c.txt", 8192)
    found = folders.contents(declared(tmp_path), FOREVER_NS)
    assert [one.path for one in found.files] == ["deep/er/a.tmp", "b.tmp"]
    assert found.used_bytes == sum(one.stat().st_blocks * 512 for one in tmp_path.rglob("*") if one.is_file())
    assert found.listed_all


def test_a_file_as_old_as_asked_is_old_enough(tmp_path: Path) -> None:
    write(tmp_path / "a.tmp", modified_ns=1000)
    assert listed(tmp_path, 1000) == ["a.tmp"]
    assert listed(tmp_path, 999) == []


def test_without_an_age_nothing_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "a.tmp")
    assert folders.contents(declared(tmp_path), None).files == ()


def test_no_link_is_followed_or_listed(tmp_path: Path) -> None:
    victim = write(tmp_path / "outside/victim.tmp")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file.tmp").symlink_to(victim)
    (inside / "folder").symlink_to(victim.parent)
    assert folders.contents(declared(inside), FOREVER_NS) == folders.Contents()


def test_a_folder_that_is_itself_a_link_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "real/a.tmp")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(folders.WalkError):
        folders.contents(declared(tmp_path / "link"), FOREVER_NS)


def test_a_file_with_a_second_name_counts_once_and_is_not_listed(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tmp", 8192)
    os.link(one, tmp_path / "b.tmp")
    found = folders.contents(declared(tmp_path), FOREVER_NS)
    assert (found.files, found.used_bytes) == ((), one.stat().st_blocks * 512)


def test_what_is_no_regular_file_is_not_listed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tmp")
    assert listed(tmp_path) == []


@pytest.mark.parametrize("name", [b"\xff\xfe.tmp", b"new\nline.tmp", b"esc\x1b[0m.tmp"])
def test_a_name_that_cannot_be_printed_counts_but_is_not_listed(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(b"x" * 4096)
    found = folders.contents(declared(tmp_path), FOREVER_NS)
    assert found.files == ()
    assert found.used_bytes > 0


def test_a_missing_folder_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(folders.WalkError, match="nowhere: No such file"):
        folders.contents(declared(tmp_path / "nowhere"), None)
    with pytest.raises(folders.WalkError, match="nowhere: No such file"):
        folders.space(declared(tmp_path / "nowhere"))


def test_as_many_directories_deep_as_allowed_and_no_deeper(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*["d"] * folders.DEPTH_MAX)
    write(deepest / "a.tmp")
    assert len(listed(tmp_path)) == 1
    (deepest / "d").mkdir()
    with pytest.raises(folders.WalkError, match="deep"):
        listed(tmp_path)


def test_as_many_entries_as_allowed_and_no_more(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.tmp", 1)
    assert len(folders.contents(declared(tmp_path), FOREVER_NS, entries_max=5).files) == 5
    with pytest.raises(folders.WalkError, match="more than 4 entries"):
        folders.contents(declared(tmp_path), FOREVER_NS, entries_max=4)


def test_only_the_oldest_are_listed_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.tmp", 1, modified_ns=number)
    found = folders.contents(declared(tmp_path), FOREVER_NS, listed_max=3)
    assert [one.path for one in found.files] == ["0.tmp", "1.tmp", "2.tmp"]
    assert not found.listed_all


def test_space_is_counted_as_df_does(tmp_path: Path) -> None:
    used, limit = folders.space(declared(tmp_path))
    status = os.statvfs(tmp_path)
    assert limit - used == pytest.approx(status.f_bavail * status.f_frsize, abs=64 << 20)  # others write meanwhile


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"d{number}/e/a.tmp")
    before = len(list(Path("/proc/self/fd").iterdir()))
    listed(tmp_path)
    with pytest.raises(folders.WalkError):
        folders.contents(declared(tmp_path), FOREVER_NS, entries_max=30)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
