import os
import sqlite3
import stat
from pathlib import Path

import pytest

from homeostat_agent.actuator.database import MIGRATIONS, JournalError, open_database


def test_a_new_journal_has_the_schema_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.db"
    connection = open_database(path)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"run", "step", "note", "outcome", "used_grant", "policy", "policy_floor"} <= tables
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_was_committed_outlives_a_loss_of_power(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "journal.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    connection.close()


def test_an_old_journal_is_opened_again(tmp_path: Path) -> None:
    first = open_database(tmp_path / "journal.db")
    first.execute("INSERT INTO used_grant VALUES (x'01', 'pack', 1)")
    first.close()
    second = open_database(tmp_path / "journal.db")
    assert second.execute("SELECT pack_id FROM used_grant").fetchone() == ("pack",)
    second.close()


def test_a_journal_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = open_database(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(JournalError, match="later version"):
        open_database(path)


@pytest.mark.parametrize("at", [0, 100, 5000])
def test_a_damaged_journal_is_not_replaced(tmp_path: Path, at: int) -> None:
    path = tmp_path / "journal.db"
    connection = open_database(path)
    connection.execute("INSERT INTO used_grant VALUES (x'01', 'pack', 1)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[at : at + 4000] = os.urandom(4000)
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"damaged.*until a person"):
        open_database(path)
    assert path.read_bytes() == bytes(content)


def test_a_link_in_the_journal_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError):
        open_database(tmp_path / "journal.db")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be opened"):
        open_database(tmp_path / "file" / "journal.db")


def test_a_failing_migration_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE run (id TEXT)")  # the first migration cannot make it
    raw.commit()
    raw.close()
    with pytest.raises(JournalError):
        open_database(path)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA user_version").fetchone() == (0,)
    raw.close()
