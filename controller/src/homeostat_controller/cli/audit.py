"""`homeostat audit`: who did what, and proof that nobody changed the record."""

import json
import sys
from typing import Annotated

import typer

from homeostat_controller.cli.output import Column, Format, Output, moment, say, write, write_one
from homeostat_controller.client.context import connect
from homeostat_controller.client.exits import CommandError

app = typer.Typer(no_args_is_help=True, help="Who did what, and when.")

LIST = (
    Column("NUMBER", "sequence"),
    Column("AT", "at", moment),
    Column("WHO", "actor"),
    Column("VERB", "verb"),
    Column("WHAT", "object_kind"),
    Column("ID", "object_id"),
    Column("DETAIL", "detail"),
)
VERIFICATION = (Column("Entries", "entries"), Column("Whole", "whole"), Column("Problem", "problem"))


@app.command()
def tail(
    context: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the newest.", min=1, max=500)] = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show the newest entries, the newest last."""
    items = connect(context.obj).items("/audit", lines)
    write(items[::-1], LIST, output)


@app.command()
def verify(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Recompute the whole chain; the exit code is 1 when it is broken."""
    found = connect(context.obj).get("/audit/verification")
    write_one(found, VERIFICATION, output)
    if not found["whole"]:
        raise CommandError("The audit log is not whole.", found["problem"], "Compare it with your last export.")


@app.command()
def export(context: typer.Context, output: Output = Format.JSON) -> None:
    """Write every entry, the oldest first: one JSON object a line, or a table, YAML or CSV."""
    client = connect(context.obj)
    entries = client.items("/audit", 0)[::-1]
    if output is not Format.JSON:
        write(entries, LIST, output)
        return
    for entry in entries:
        sys.stdout.write(json.dumps(entry, sort_keys=True) + "\n")
    say(f"{len(entries)} entries.")
