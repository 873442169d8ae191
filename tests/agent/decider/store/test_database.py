import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeostat_agent.decider.store.database import (
    MIGRATIONS,
    SET_ASIDE_MAX,
    StoreError,
    is_damage,
    open_database,
    open_for_reading,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def set_aside_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.set-aside-*"))


def test_a_new_store_is_durable_private_and_at_the_latest_version(tmp_path: Path) -> None:
    opened = open_database(tmp_path / "deep" / "store.db", NOW)
    pragmas = {
        name: opened.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert opened.connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    opened.connection.execute("INSERT INTO state VALUES ('k', x'01')")
    for path in (tmp_path / "deep").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700
    opened.connection.close()


def test_what_was_committed_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = open_database(path, NOW).connection
    first.execute("INSERT INTO state VALUES ('k', x'01')")
    first.close()
    again = open_database(path, NOW)
    assert again.set_aside is None
    assert again.connection.execute("SELECT value FROM state").fetchone() == (b"\x01",)
    again.connection.close()


@pytest.mark.parametrize("damage", ["garbage", "middle", "truncated"])
def test_a_damaged_file_is_set_aside_and_an_empty_one_takes_its_place(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store.db"
    first = open_database(path, NOW).connection
    first.executemany("INSERT INTO state VALUES (?, ?)", [(f"k{i}", bytes(3000)) for i in range(100)])
    first.close()
    content = bytearray(path.read_bytes())
    if damage == "garbage":
        content[:] = b"not a database at all" * 500
    elif damage == "middle":
        content[4096 * 12 : 4096 * 40] = os.urandom(4096 * 28)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    opened = open_database(path, NOW)
    assert opened.why
    assert opened.set_aside is not None
    assert opened.set_aside.read_bytes() == content
    assert opened.connection.execute("SELECT count(*) FROM state").fetchone() == (0,)
    opened.connection.close()
    again = open_database(path, NOW)
    assert again.set_aside is None
    again.connection.close()


def test_a_store_of_a_later_version_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = open_database(path, NOW).connection
    first.execute("PRAGMA user_version = 999")
    first.close()
    opened = open_database(path, NOW)
    assert "later version" in opened.why
    opened.connection.close()


def test_a_store_of_an_earlier_version_is_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    sqlite3.connect(path).execute("PRAGMA user_version = 0")
    opened = open_database(path, NOW)
    assert opened.connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    opened.connection.close()


def test_only_so_many_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for day in range(SET_ASIDE_MAX + 2):
        path.write_bytes(b"damaged" * 1000)
        path.with_name("store.db-wal").write_bytes(b"with a log")
        open_database(path, NOW + timedelta(days=day)).connection.close()
    kept = set_aside_files(tmp_path)
    assert len([one for one in kept if not one.name.endswith("-wal")]) == SET_ASIDE_MAX
    assert "20260304" in kept[-1].name


def test_a_place_that_cannot_be_reached_is_an_error_and_nothing_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(tmp_path / "store.db", NOW)
    assert set_aside_files(tmp_path) == []


def test_a_failing_migration_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = sqlite3.connect(path)
    first.execute("CREATE TABLE state (key TEXT)")  # in the way of the first migration's last statement
    first.close()
    with pytest.raises(StoreError, match="already exists"):
        open_database(path, NOW)
    second = sqlite3.connect(path)
    assert [row[0] for row in second.execute("SELECT name FROM sqlite_schema")] == ["state"]
    second.close()


def test_a_reader_reads_beside_the_writer_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writer = open_database(path, NOW).connection
    writer.execute("INSERT INTO state VALUES ('k', x'01')")
    reader = open_for_reading(path)
    assert reader.execute("SELECT key FROM state").fetchone() == ("k",)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM state")
    reader.close()
    writer.close()


def test_a_reader_of_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        open_for_reading(tmp_path / "store.db")
    (tmp_path / "store.db").write_bytes(b"garbage" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        open_for_reading(tmp_path / "store.db")
    (tmp_path / "other.db").write_bytes(b"")
    with pytest.raises(StoreError, match="version 0"):
        open_for_reading(tmp_path / "other.db")


def test_only_damage_counts_as_damage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"garbage" * 100)
    connection = sqlite3.connect(tmp_path / "file")
    with pytest.raises(sqlite3.DatabaseError) as damaged:
        connection.execute("SELECT * FROM x")
    connection.close()
    memory = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as ordinary:
        memory.execute("SELECT * FROM x")
    memory.close()
    assert is_damage(damaged.value)
    assert not is_damage(ordinary.value)
    assert not is_damage(OSError("other"))
