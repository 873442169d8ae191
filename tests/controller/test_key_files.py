"""Private keys on disk: made once, for their owner only, and refused when others can read them."""

import os
import stat
import threading
from pathlib import Path

import pytest

from homeostat_controller.key_files import KeyFileError, load_or_create


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    assert load_or_create(path, lambda: b"first") == b"first"
    assert load_or_create(path, lambda: b"second") == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["key"]  # noqa: PTH208  # no partial file is left


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o700 | 0o010])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="others may read it") as refused:
        load_or_create(path, lambda: b"new")
    assert "secret" not in str(refused.value)


def test_many_at_once_agree_on_one_key(tmp_path: Path) -> None:
    got: list[bytes] = []
    path = tmp_path / "key"

    def ask() -> None:
        got.append(load_or_create(path, lambda: os.urandom(32)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert len(got) == 8


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KeyFileError, match="key"):
        load_or_create(tmp_path / "file" / "key", lambda: b"x")
