"""The actuator's one SQLite file: opened, checked, and brought to this version's schema.

It is not replaced when it is damaged: it holds what was done and which approvals are used up, and an empty one would
hand out every budget anew. A person decides that; until then nothing is acted on.
"""

import os
import sqlite3
from pathlib import Path

BUSY_MS_MAX = 5000
CACHE_KIB = 512
WAL_BYTES_MAX = 4 << 20

# Each entry takes the schema one version further, in one transaction. Published entries are never edited.
MIGRATIONS = (
    """
    CREATE TABLE run (
        id TEXT PRIMARY KEY, incident_id TEXT NOT NULL, fault TEXT NOT NULL, subject_kind TEXT NOT NULL,
        subject_name TEXT NOT NULL, rule TEXT NOT NULL, playbook TEXT NOT NULL, action TEXT NOT NULL,
        verifier TEXT NOT NULL, settle_us INTEGER NOT NULL, verify_within_us INTEGER NOT NULL, numbers TEXT NOT NULL,
        pack_id TEXT NOT NULL, started_us INTEGER NOT NULL, stage TEXT NOT NULL, deadline_us INTEGER NOT NULL,
        plan BLOB, ending TEXT, reason TEXT NOT NULL, restarts INTEGER NOT NULL,
        before_pid INTEGER, before_started INTEGER, before_boot TEXT, before_ticks INTEGER) STRICT;
    CREATE INDEX run_by_start ON run (started_us);
    CREATE TABLE step (
        run_id TEXT NOT NULL, direction TEXT NOT NULL, number INTEGER NOT NULL, begun_us INTEGER NOT NULL,
        done_us INTEGER, ok INTEGER, detail TEXT NOT NULL, PRIMARY KEY (run_id, direction, number)) STRICT;
    CREATE TABLE note (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, stage TEXT NOT NULL, at_us INTEGER NOT NULL,
        detail TEXT NOT NULL) STRICT;
    CREATE INDEX note_by_run ON note (run_id, id);
    CREATE TABLE outcome (run_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE used_grant (nonce BLOB PRIMARY KEY, pack_id TEXT NOT NULL, at_us INTEGER NOT NULL) STRICT;
    CREATE TABLE policy_floor (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, sha256 BLOB NOT NULL) STRICT;
    CREATE TABLE policy (one INTEGER PRIMARY KEY CHECK (one = 1), signed BLOB NOT NULL) STRICT;
    """,
)


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the journal, or make it; the connection begins no transaction by itself. Raises JournalError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, so that nobody else can ever read it; the log files take over its mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"{path}: cannot be opened: {error}") from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise JournalError(_damaged(path, str(error))) from error
    except JournalError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS_MAX}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise JournalError(_damaged(path, str(found)))
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise JournalError(f"{path}: was written by a later version of the agent; install that version again")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;")


def _damaged(path: Path, what: str) -> str:
    return (
        f"{path}: is damaged ({' '.join(what.split())}). Nothing is repaired until a person moves it away; "
        "all budgets then start anew, and approvals that were used could be used again"
    )
