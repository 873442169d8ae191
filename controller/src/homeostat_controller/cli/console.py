"""`homeostat console`: a one-time link that opens the console signed in."""

import typer

from homeostat_controller.cli.output import Column, Format, Output, moment, say, write_one
from homeostat_controller.client.context import connect

COLUMNS = (Column("Link", "url"), Column("Until", "expires_at", moment))


def console(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Print a link that signs one browser in, once, within 15 minutes."""
    made = connect(context.obj).post("/welcome-links", {})
    if output is Format.TABLE:
        typer.echo(made["url"])
        say(f"It works once, until {moment(made['expires_at'])}.")
        return
    write_one(made, COLUMNS, output)
