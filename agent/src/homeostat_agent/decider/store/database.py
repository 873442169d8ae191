"""One SQLite file holds everything the decider must not forget.

What was committed survives the loss of power (write-ahead log, synchronous FULL). A damaged file is set aside and an
empty one takes its place: losing a store is worth a notice, a decider that cannot start heals nothing.
"""

import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

BUSY_TIMEOUT_MS = 5000
CACHE_KIB = 1024
WAL_BYTES_MAX = 4 << 20
SET_ASIDE_MAX = 2
# SQLITE_CORRUPT and SQLITE_NOTADB: the content is damaged, as opposed to a file that cannot be reached now.
_DAMAGED = frozenset({11, 26})
_LOGS = ("-wal", "-shm")

# Each entry takes the schema one version further, in one transaction. Published entries are never edited.
MIGRATIONS = (
    """
    CREATE TABLE spool_chain (
        one INTEGER PRIMARY KEY CHECK (one = 1), endpoint_id TEXT NOT NULL, anchored INTEGER NOT NULL,
        first_sequence INTEGER NOT NULL, next_sequence INTEGER NOT NULL, previous_hash BLOB NOT NULL,
        head_hash BLOB NOT NULL, record_bytes INTEGER NOT NULL, telemetry_bytes INTEGER NOT NULL,
        telemetry_dropped INTEGER NOT NULL) STRICT;
    INSERT INTO spool_chain VALUES (1, '', 0, 1, 1, zeroblob(32), zeroblob(32), 0, 0, 0);
    CREATE TABLE spool_record (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
    CREATE TABLE spool_telemetry (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL) STRICT;

    CREATE TABLE policy_content (sha256 BLOB PRIMARY KEY, signed BLOB NOT NULL) STRICT;
    CREATE TABLE policy_role (
        role TEXT PRIMARY KEY, name TEXT NOT NULL, revision INTEGER NOT NULL, sha256 BLOB NOT NULL) STRICT;
    CREATE TABLE policy_floor (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, sha256 BLOB NOT NULL) STRICT;
    CREATE TABLE policy_rejection (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, revision INTEGER NOT NULL,
        sha256 BLOB NOT NULL UNIQUE, reason TEXT NOT NULL, at_us INTEGER NOT NULL, judge BLOB NOT NULL) STRICT;

    CREATE TABLE incident (
        id TEXT PRIMARY KEY, opened_us INTEGER NOT NULL, closed_us INTEGER, how TEXT NOT NULL,
        body BLOB NOT NULL) STRICT;
    CREATE INDEX incident_by_opening ON incident (opened_us);
    CREATE TABLE incident_entry (
        id INTEGER PRIMARY KEY, incident_id TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE INDEX incident_entry_by_incident ON incident_entry (incident_id, id);
    CREATE TABLE run (
        id TEXT PRIMARY KEY, incident_id TEXT NOT NULL, playbook TEXT NOT NULL, subject_kind TEXT NOT NULL,
        subject_name TEXT NOT NULL, fault TEXT NOT NULL, rule TEXT NOT NULL, started_us INTEGER NOT NULL,
        approved INTEGER NOT NULL, ending TEXT) STRICT;
    CREATE INDEX run_by_start ON run (started_us);

    CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    """,
    # Whether the actuator was restarted during the run.
    "ALTER TABLE run ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0",
)


class StoreError(Exception):
    """The store cannot be used now; the message says why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A ready connection and, where an old file had to be set aside, its new place and why."""

    connection: sqlite3.Connection
    set_aside: Path | None = None
    why: str = ""


def open_database(path: Path, now: datetime) -> Opened:
    """Open, check and migrate the store, or make it. The connection begins no transaction by itself.

    Raises StoreError when the file cannot be reached; a damaged one, or one of a later version, is set aside.
    """
    try:
        why = "" if _is_new(path) else _damage(path)
        aside = _set_aside(path, now) if why else None
        return Opened(_ready(path), aside, why)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: cannot be opened: {error}") from error


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing store beside the process that writes it. Raises StoreError where there is none to read."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no store; has the agent run?")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        version = _version(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    if version != len(MIGRATIONS):
        connection.close()
        raise StoreError(f"{path}: the store has version {version}, this program reads {len(MIGRATIONS)}")
    return connection


def is_damage(error: BaseException) -> bool:
    """Say whether an error means that the file's content is damaged."""
    # The low byte is the primary code; extended codes carry the place in the others.
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def _is_new(path: Path) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here and not by SQLite, so that nobody else can ever read it; the log files take over its mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    return path.stat().st_size == 0


def _damage(path: Path) -> str:
    """Return what is wrong with the content of an existing file, or nothing."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        version = _version(connection)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return str(error)
    finally:
        connection.close()
    if found != "ok":
        return str(found)
    return "it was written by a later version of the agent" if version > len(MIGRATIONS) else ""


def _set_aside(path: Path, now: datetime) -> Path:
    aside = path.with_name(f"{path.name}.set-aside-{now:%Y%m%dT%H%M%S%f}")
    # The logs first: SQLite would replay them into the new file if they were left beside it.
    for ending in (*_LOGS, ""):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.replace(aside.with_name(aside.name + ending))
    earlier = sorted(one for one in path.parent.glob(f"{path.name}.set-aside-*") if one.name[-4:] not in _LOGS)
    for old in earlier[:-SET_ASIDE_MAX]:
        for ending in (*_LOGS, ""):
            old.with_name(old.name + ending).unlink(missing_ok=True)
    _is_new(path)
    return aside


def _ready(path: Path) -> sqlite3.Connection:
    # One thread owns it for good, but not always the one that opened it.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"cache_size = -{CACHE_KIB}",
            f"journal_size_limit = {WAL_BYTES_MAX}",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _migrate(connection)
        connection.execute("PRAGMA incremental_vacuum").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
