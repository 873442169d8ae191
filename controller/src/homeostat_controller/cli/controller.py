"""`homeostat controller`: the server itself. Only these commands load it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from homeostat_controller.cli.output import say
from homeostat_controller.client.context import Given

app = typer.Typer(no_args_is_help=True, help="Run a controller on this machine.")

Config = Annotated[Path | None, typer.Option(help="controller.toml; every setting has a default.")]
DataDir = Annotated[str, typer.Option(help="Where everything is kept; over the settings file.")]


@app.command()
def init(context: typer.Context, config: Config = None, data_dir: DataDir = "") -> None:
    """Make the data folder, keys, database and the administrator's token; what is there already stays."""
    from homeostat_controller.cli import serving  # noqa: PLC0415  # loads the server

    settings = serving.settings(config, _environment(context.obj, data_dir))
    is_new = serving.init(settings)
    say(f"{settings.data_dir} is ready." + (" The administrator's token is in admin.token there." if is_new else ""))
    say("next: homeostat controller run")


@app.command()
def migrate(context: typer.Context, config: Config = None, data_dir: DataDir = "") -> None:
    """Bring the database's schema up to date; `run` does it too."""
    from homeostat_controller.cli import serving  # noqa: PLC0415  # loads the server

    serving.migrate(serving.settings(config, _environment(context.obj, data_dir)))
    say("The database is up to date.")


@app.command()
def run(context: typer.Context, config: Config = None, data_dir: DataDir = "") -> None:
    """Run the controller until it is told to stop."""
    from homeostat_controller.cli import serving  # noqa: PLC0415  # loads the server

    serving.run(serving.settings(config, _environment(context.obj, data_dir)))


def _environment(given: Given, data_dir: str) -> dict[str, str]:
    wanted = data_dir or given.data_dir
    return {**os.environ, **({"HOMEOSTAT_DATA_DIR": wanted} if wanted else {})}
