from pathlib import Path

import pytest

from homeostat_agent.actuator.reserve import PLENTY_BYTES, RESERVE_BYTES, SHORT_BYTES, Reserve, free_bytes


def reserve(folder: Path, free: int) -> Reserve:
    return Reserve(folder / "reserve", lambda _folder: free)


def test_the_reserve_really_takes_space(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve").keep()
    status = (tmp_path / "reserve").stat()
    assert status.st_size == RESERVE_BYTES
    assert status.st_blocks * 512 >= RESERVE_BYTES


@pytest.mark.parametrize(("free", "kept"), [(PLENTY_BYTES, True), (PLENTY_BYTES - 1, False)])
def test_it_is_made_only_where_there_is_plenty(tmp_path: Path, free: int, kept: bool) -> None:
    reserve(tmp_path, free).keep()
    assert (tmp_path / "reserve").exists() is kept


@pytest.mark.parametrize(("free", "kept"), [(SHORT_BYTES, True), (SHORT_BYTES - 1, False)])
def test_it_goes_when_room_is_short(tmp_path: Path, free: int, kept: bool) -> None:
    reserve(tmp_path, PLENTY_BYTES).keep()
    reserve(tmp_path, free).give_way()
    assert (tmp_path / "reserve").exists() is kept


def test_keeping_twice_and_giving_way_to_nothing_are_harmless(tmp_path: Path) -> None:
    one = reserve(tmp_path, PLENTY_BYTES)
    one.keep()
    one.keep()
    reserve(tmp_path, 0).give_way()
    reserve(tmp_path, 0).give_way()


def test_free_room_is_what_this_user_may_write(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
