"""`homeostat enrol`: the tokens by which new endpoints join.

`token create` writes the token, and nothing else, to stdout, so that it goes straight into a file; it is never shown
again.
"""

import sys
from typing import Annotated

import typer

from homeostat_controller.cli.options import Limit, in_path, told
from homeostat_controller.cli.output import Column, Format, Output, moment, say, write, write_one
from homeostat_controller.client.context import connect
from homeostat_controller.client.exits import CommandError, Exit

app = typer.Typer(no_args_is_help=True, help="How new endpoints join.")
token = typer.Typer(no_args_is_help=True, help="Single-use, expiring tokens.")
app.add_typer(token, name="token")

LIST = (
    Column("TOKEN", "id"),
    Column("STATUS", "status"),
    Column("GROUP", "group"),
    Column("LABELS", "labels"),
    Column("NOTE", "note"),
    Column("CREATED BY", "created_by"),
    Column("EXPIRES", "expires_at", moment),
    Column("ENDPOINT", "endpoint_id"),
)


@token.command()
def create(  # noqa: PLR0913, PLR0917  # each is an option of the command line
    context: typer.Context,
    group: Annotated[str, typer.Option(help="Where the endpoint belongs: organisation/site/group.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="A label it gets, as KEY=VALUE; may be repeated.")] = None,
    minutes: Annotated[int, typer.Option(help="How long it can be used.", min=1, max=43_200)] = 60,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Create a token: homeostat enrol token create > token && chmod 600 token."""
    body = {"group": group, "labels": _labels(label or []), "minutes": minutes, "note": note}
    made = connect(context.obj).post("/enrolment-tokens", body)
    if output is not Format.TABLE:
        write_one(made, (*LIST, Column("TEXT", "token")), output)
        return
    sys.stdout.write(made["token"] + "\n")
    say(f"{made['id']} can be used once, until {moment(made['expires_at'])}. It is not shown again.")
    say("next, on the endpoint: homeostat-agent enrol --token-file FILE")


@token.command("list")
def list_(context: typer.Context, limit: Limit = 100, output: Output = Format.TABLE) -> None:
    """List tokens, the newest first; their texts are not kept anywhere."""
    write(told(connect(context.obj), "/enrolment-tokens", "", limit), LIST, output)


@token.command()
def revoke(context: typer.Context, name: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id.")]) -> None:
    """Revoke a token that was not used."""
    connect(context.obj).delete(f"/enrolment-tokens/{in_path(name)}")
    say(f"{name} is revoked.")


def _labels(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not (key and equals and value):
            raise CommandError(f"{one!r} is no label.", "", "Write it as KEY=VALUE, such as role=web.", Exit.USAGE)
        found[key] = value
    return found
