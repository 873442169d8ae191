import os
from pathlib import Path

import pytest

from homeostat.plan import RemoveFile, RestoreFile
from homeostat_agent.actuator.host.port import FolderFacts, FolderQuery, Missing
from homeostat_agent.actuator.host.windows_files import KEPT_S_MAX, LISTED_MAX, Files
from homeostat_agent.config import Folder

NOW_S = 2_000_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "cache").mkdir()
    return Folder("cache", str(tmp_path / "cache"), ("*.tmp",), 1.0)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "trash")


def write(folder: Folder, path: str, *, keep: bool = True) -> RemoveFile:
    file = Path(folder.path, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"content")
    status = file.stat()
    return RemoveFile("cache", path, status.st_size, status.st_mtime_ns, keep)


def read(files: Files, folder: Folder) -> FolderFacts:
    found = files.read(folder, FolderQuery("cache", 0.0), NOW_S)
    assert isinstance(found, FolderFacts)
    return found


@pytest.mark.parametrize(
    "path", ["C:/a.tmp", "sub\\a.tmp", "..\\a.tmp", "a.tmp:stream", "../a.tmp", "sub//a.tmp", "a\0.tmp"]
)
def test_no_windows_path_leads_out_of_the_folder(files: Files, folder: Folder, path: str) -> None:
    assert not files.remove(folder, RemoveFile("cache", path, 1, 1)).ok
    assert not files.restore(folder, RestoreFile("cache", path)).ok


def test_only_so_many_files_are_listed(files: Files, folder: Folder) -> None:
    for number in range(LISTED_MAX + 1):
        Path(folder.path, f"{number}.tmp").touch()
    found = read(files, folder)
    assert (len(found.files), found.listed_all) == (LISTED_MAX, False)


def test_a_link_or_a_second_name_is_refused(tmp_path: Path, files: Files, folder: Folder) -> None:
    victim = tmp_path / "victim.tmp"
    victim.write_bytes(b"content")
    Path(folder.path, "link.tmp").symlink_to(victim)
    os.link(victim, Path(folder.path, "second.tmp"))
    status = victim.stat()
    for path in ("link.tmp", "second.tmp"):
        assert not files.remove(folder, RemoveFile("cache", path, status.st_size, status.st_mtime_ns)).ok
    assert read(files, folder).files == ()
    assert victim.exists()


def test_kept_files_go_when_they_lay_too_long(tmp_path: Path, files: Files, folder: Folder) -> None:
    assert files.remove(folder, write(folder, "a.tmp")).ok
    (kept,) = (tmp_path / "trash" / "cache").iterdir()
    files.purge(kept.stat().st_ctime + KEPT_S_MAX)
    assert kept.exists()
    files.purge(kept.stat().st_ctime + KEPT_S_MAX + 1)
    assert not kept.exists()


def test_a_file_removed_for_good_is_gone(tmp_path: Path, files: Files, folder: Folder) -> None:
    assert files.remove(folder, write(folder, "a.tmp", keep=False)).ok
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_a_folder_that_is_missing_is_missing(files: Files, folder: Folder) -> None:
    Path(folder.path).rmdir()
    assert isinstance(files.read(folder, FolderQuery("cache"), NOW_S), Missing)
