"""Migrations make what the tables say, on both databases, once, and never touch a newer database."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from homeostat_controller.store import schema
from homeostat_controller.store.column_types import Record
from homeostat_controller.store.database import Database
from homeostat_controller.store.schema import SchemaError

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Record.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert schema.migrate(database, NOW) == schema.migrate(database, NOW)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM organisation")).scalar_one() == 1


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer than this program"):
        schema.migrate(database, NOW)
    with database.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def test_two_programs_that_start_together_both_succeed(tmp_path: Path) -> None:
    url, failures = f"sqlite:///{tmp_path}/controller.db", []

    def start() -> None:
        database = Database(url)
        try:
            schema.migrate(database, NOW)
        except Exception as error:  # noqa: BLE001  # told to the test
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
