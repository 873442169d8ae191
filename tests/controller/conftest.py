"""Databases for the controller's tests: SQLite in a file, and a real PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_postgres import Postgres, postgres_server
from sqlalchemy import text

from fakes.moved_clock import MovedClock
from homeostat_controller.store import organisations, schema
from homeostat_controller.store.column_types import Record
from homeostat_controller.store.database import Database

__all__ = ["postgres_server"]


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest schema, to be copied: migrating costs more than most tests."""
    path = tmp_path_factory.mktemp("schema") / "template.db"
    database = Database(f"sqlite:///{path}")
    schema.migrate(database, MovedClock()())
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Postgres) -> Iterator[Database]:
    """A database with the newest schema, to be emptied: making one costs more than most tests."""
    database = Database(postgres_server.create())
    schema.migrate(database, MovedClock()())
    yield database
    database.close()


@pytest.fixture
def sqlite(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "store" / "controller.db"
    path.parent.mkdir()
    shutil.copy(migrated_sqlite, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with the newest schema; each test runs on both kinds."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    opened: Database = request.getfixturevalue("migrated_postgres")
    with opened.write() as connection:
        names = ", ".join(f'"{name}"' for name in Record.metadata.tables)
        connection.execute(text(f"TRUNCATE {names} CASCADE"))
        organisations.seed(connection, MovedClock()())
    yield opened
