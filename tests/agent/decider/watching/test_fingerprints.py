import os
from pathlib import Path

import pytest

from homeostat_agent.decider.watching import fingerprints as module
from homeostat_agent.decider.watching.fingerprints import of_file, of_folder


def test_the_content_counts_and_not_the_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = of_file(str(path))
    os.utime(path, (1, 1))
    assert of_file(str(path)) == first
    path.unlink()
    path.write_text("one")
    assert of_file(str(path)) == first
    path.write_text("two")
    assert of_file(str(path)) != first


def test_a_missing_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert of_file(str(tmp_path / "none")) is None
    assert of_file(str(tmp_path / "none/below")) is None
    assert of_file(str(tmp_path / "file/below")) is None


def test_a_large_file_is_told_by_its_length_and_time(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (module.CONTENT_BYTES_MAX + 1))
    first = of_file(str(path))
    os.utime(path, (1, 1))
    assert of_file(str(path)) != first
    path.write_bytes(b"x" * module.CONTENT_BYTES_MAX)
    assert len(of_file(str(path)) or b"") == 32


def test_a_folder_in_the_place_of_a_file_is_told_by_its_number(tmp_path: Path) -> None:
    assert of_file(str(tmp_path)) is not None


def test_what_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="levels"):
        of_file(str(tmp_path / "loop"))


def test_a_folders_files_without_what_lies_below(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b").write_text("x")
    first = of_folder(str(tmp_path))
    assert list(first) == ["a"]
    (tmp_path / "a").write_text("xy")
    assert of_folder(str(tmp_path)) != first
    assert of_folder(str(tmp_path / "none")) == {}


def test_a_folder_with_very_many_files_is_cut(tmp_path: Path) -> None:
    for number in range(module.LISTED_MAX + 5):
        (tmp_path / str(number)).touch()
    assert len(of_folder(str(tmp_path))) == module.LISTED_MAX
