"""What `homeostat controller …` does with the server; the only module of the command line that imports it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from homeostat_controller import app, config, core
from homeostat_controller.api.tokens import ensure_admin_token
from homeostat_controller.cli.output import say
from homeostat_controller.client.context import ADDRESS_FILE
from homeostat_controller.client.exits import CommandError
from homeostat_controller.clock import utc_now
from homeostat_controller.config import Settings
from homeostat_controller.core import Core
from homeostat_controller.errors import ControllerError
from homeostat_controller.policies import document
from homeostat_controller.store import schema
from homeostat_controller.store.database import Database


def settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises CommandError.
    """
    with _said("The settings cannot be used."):
        return config.load(path, environment)


def init(wanted: Settings) -> bool:
    """Make everything that a controller needs; say whether its administrator's token is new."""
    with _said("The controller cannot be set up."):
        built = core.build(wanted, utc_now, document.compile_policy)
        try:
            return ensure_admin_token(built)
        finally:
            built.close()


def migrate(wanted: Settings) -> None:
    """Bring the schema up to date."""
    with _said("The database cannot be brought up to date."):
        database = Database(wanted.database)
        try:
            schema.migrate(database, utc_now())
        finally:
            database.close()


def run(wanted: Settings) -> None:
    """Serve until told to stop."""
    with _said("The controller cannot run."):
        app.serve(wanted, _ready)


def _ready(built: Core, url: str) -> None:
    """Leave the token and the address where the command line on this machine looks for them."""
    ensure_admin_token(built)
    (built.settings.data_dir / ADDRESS_FILE).write_text(f"{url}\n", encoding="ascii")
    say(f"The controller is on {url}, its data in {built.settings.data_dir}.")


@contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except ControllerError as error:
        raise CommandError(what, f"{error}.", "homeostat controller run --help") from None
