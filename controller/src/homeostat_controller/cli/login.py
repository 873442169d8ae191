"""`homeostat login`: remember a controller and its token. The token comes from a file or stdin, never an argument."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from homeostat_controller.cli.output import say
from homeostat_controller.client.client import Client, Target
from homeostat_controller.client.context import checked_url, forget, store
from homeostat_controller.client.exits import CommandError, Exit

TOKEN_CHARACTERS_MAX = 4096


def login(
    url: Annotated[str, typer.Argument(help="The controller's address, such as http://127.0.0.1:8440.")],
    token_file: Annotated[Path | None, typer.Option(help="A file with the token; without it, stdin is read.")] = None,
) -> None:
    """Remember a controller: homeostat login http://127.0.0.1:8440 < admin.token."""
    target = Target(checked_url(url), _token(token_file))
    who = Client(target).get("/session")
    path = store(target, os.environ)
    say(f"Signed in at {target.url} as {who['name']}; kept in {path}.")


def logout() -> None:
    """Forget the remembered controller and its token."""
    say("Forgotten." if forget(os.environ) else "No controller was remembered.")


def _token(path: Path | None) -> str:
    if path is not None:
        with path.open(encoding="utf-8") as stream:
            token = stream.read(TOKEN_CHARACTERS_MAX).strip()
    elif sys.stdin.isatty():
        token = typer.prompt("Token", hide_input=True).strip()
    else:
        token = sys.stdin.read(TOKEN_CHARACTERS_MAX).strip()
    if not token or not token.isascii() or any(one.isspace() for one in token):
        raise CommandError("This is no token.", "It is empty or holds blanks.", "homeostat login --help", Exit.USAGE)
    return token
