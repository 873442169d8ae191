"""Transactions: what is committed stays, what fails is undone, and writers wait for each other."""

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from homeostat_controller.errors import Invalid
from homeostat_controller.store.database import Database, reachable

COUNT = "SELECT value FROM counter WHERE name = 'policy_revision'"
RISE = "UPDATE counter SET value = value + 1 WHERE name = 'policy_revision'"


def test_a_write_that_raises_is_undone(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(text(RISE))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert connection.execute(text(COUNT)).scalar_one() == 0


def test_forty_writers_in_threads_lose_nothing(database: Database) -> None:
    def rise() -> None:
        with database.write() as connection:
            connection.execute(text(RISE))

    threads = [threading.Thread(target=rise) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(text(COUNT)).scalar_one() == 40


def test_a_reader_sees_what_was_committed_before_it_began(database: Database) -> None:
    with database.read() as reader:
        assert reader.execute(text(COUNT)).scalar_one() == 0
        with database.write() as writer:
            writer.execute(text(RISE))
        with database.read() as later:
            assert later.execute(text(COUNT)).scalar_one() == 1
        assert reader.execute(text(COUNT)).scalar_one() == 0  # and only that, until it ends


def test_a_write_inside_a_write_is_an_error_and_not_a_deadlock(database: Database) -> None:
    def nest() -> None:
        with database.write(), database.write():
            pass

    with pytest.raises(RuntimeError, match="inside a write"):
        nest()
    with database.write() as connection:
        connection.execute(text(RISE))


def test_references_are_held(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(
            text("INSERT INTO endpoint_label (endpoint_id, key, value) VALUES ('nobody', 'role', 'web')")
        )


def test_sqlite_is_durable_and_its_file_private(sqlite: Database) -> None:
    with sqlite.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL


def test_a_new_database_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/controller.db")
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    database.close()
    assert stat.S_IMODE((tmp_path / "deep" / "controller.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["", "no url", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_what_is_no_usable_url_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(Invalid):
        Database(url)


def test_a_database_that_is_away_says_so_without_its_password(tmp_path: Path) -> None:
    database = Database(f"postgresql://someone:hunter2@/name?host={tmp_path}")
    said = reachable(database)
    database.close()
    assert "does not answer" in said
    assert "hunter2" not in said


def test_a_database_that_answers_says_nothing(database: Database) -> None:
    assert reachable(database) == ""
