"""One database by URL: SQLite in a file with no set-up, or PostgreSQL; the same queries on both.

Invariant: what `write()` committed survives power loss (SQLite WAL with synchronous=FULL, PostgreSQL's default), and on
SQLite writers of this process queue at a lock instead of spinning on the database's own.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from homeostat_controller.errors import Invalid
from homeostat_controller.store.column_types import Record

CONNECTIONS_MAX = 20
CONNECTION_WAIT_S = 30
SQLITE_BUSY_WAIT_S = 30
_WRITE = "homeostat_write"


class Database:
    """An engine and its two kinds of transaction. Thread-safe."""

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.engine = _engine(self.url)
        self._turn: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()
        self._writer = threading.local()

    @property
    def is_sqlite(self) -> bool:
        """Say whether this is a file of our own."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database and changes nothing."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**options) as connection:
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end, or undone by an exception.

        A thread may have one at a time: a second one inside it would wait for the first for ever.
        """
        if getattr(self._writer, "busy", False):
            raise RuntimeError("a write inside a write of the same thread; pass the connection on instead")
        with self._turn, self.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            self._writer.busy = True
            try:
                yield connection
            finally:
                self._writer.busy = False

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def table(record: type[Record]) -> Table:
    """Return the Core table of a class of `tables`, for bulk statements without ORM rows."""
    return Record.metadata.tables[str(record.__tablename__)]


def insert(connection: Connection, into: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that knows ON CONFLICT, in the connection's dialect."""
    return sqlite.insert(into) if connection.dialect.name == "sqlite" else postgresql.insert(into)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Invalid("the database URL cannot be read; write sqlite:///path or postgresql://user@host/name") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Invalid(f"the database must be sqlite or postgresql, not {parsed.get_backend_name()}")
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, pool_size=CONNECTIONS_MAX, max_overflow=0, pool_timeout=CONNECTION_WAIT_S, pool_pre_ping=True
        )
    if not url.database or url.database == ":memory:":
        raise Invalid("an SQLite database needs a file: sqlite:///path")
    file = Path(url.database)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made before SQLite does, which would let others read it; the files beside it take their mode from this one.
    file.touch(mode=0o600)
    engine = create_engine(
        url,
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=CONNECTION_WAIT_S,
        connect_args={"timeout": SQLITE_BUSY_WAIT_S},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(raw: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # We say BEGIN ourselves: the driver's own rule would start write transactions late and then fail on upgrade.
    raw.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        raw.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def reachable(database: Database) -> str:
    """Return "" when the database answers, else why not, in one sentence without its password."""
    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return f"{database.url.render_as_string(hide_password=True)} does not answer: {cause}"
    return ""
