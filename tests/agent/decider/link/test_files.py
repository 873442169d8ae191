import os
import stat
from pathlib import Path

import pytest

from homeostat_agent.decider.link.files import make_folder, replace_file, sync_folder


def test_a_file_is_made_and_replaced_whole_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")
    replace_file(path, b"two", mode=0o644)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    replace_file(path, b"three")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_is_no_obstacle_and_no_link_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (tmp_path / ".file.new").symlink_to(victim)
    replace_file(tmp_path / "file", b"one")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert victim.read_bytes() == b"untouched"


def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    sync_folder(tmp_path / "a" / "b")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_whoever_owns_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 4242, 4243)
    make_folder(tmp_path / "identity")
    replace_file(tmp_path / "identity" / "key.pem", b"key")
    for one in (tmp_path / "identity", tmp_path / "identity" / "key.pem"):
        assert (one.stat().st_uid, one.stat().st_gid) == (4242, 4243)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        replace_file(tmp_path / "absent" / "file", b"one")
