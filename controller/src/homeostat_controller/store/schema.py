"""Brings a database to this program's schema at start, or says clearly why not.

Invariant: a database that a newer program has changed is never touched.
"""

from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from homeostat_controller.errors import ControllerError
from homeostat_controller.store import organisations
from homeostat_controller.store.database import Database

MIGRATIONS = Path(__file__).with_name("migrations")
# Any number that only we use: replicas that start together take turns at it.
_POSTGRES_LOCK = 0x686F6D65


class SchemaError(ControllerError):
    """The database cannot be brought to this program's schema."""


def migrate(database: Database, now: datetime) -> str:
    """Bring the schema to the newest revision, make what must always exist, and return that revision.

    Raises SchemaError when the database is newer than this program.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})")
        newest = _upgrade(connection)
        organisations.seed(connection, now)
    return newest


def _upgrade(connection: Connection) -> str:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head() or ""
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if present is not None and present not in known:
        raise SchemaError(
            f"the database has schema {present}, which is newer than this program's {newest}: "
            "start the newer controller, or restore a backup from before its upgrade"
        )
    if present != newest:
        command.upgrade(config, "head")
    return newest
