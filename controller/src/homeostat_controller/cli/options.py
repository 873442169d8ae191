"""The options that all lists share, and how a list is fetched and told."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer

from homeostat_controller.cli.output import say
from homeostat_controller.client.client import Client

Query = Annotated[
    str, typer.Option("--query", "-q", help="A filter, such as 'status:ok -site:lyon last_seen:<1h'.", metavar="FILTER")
]
Limit = Annotated[int, typer.Option(help="At most this many; 0 for all of them.", min=0)]
Timeout = Annotated[float, typer.Option(help="How many seconds to wait at most.", min=0.1, max=86_400)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is settled.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]


def told(client: Client, path: str, query: str, limit: int) -> list[dict[str, Any]]:
    """Return a list's items, and say on stderr when there are more."""
    items: list[dict[str, Any]] = []
    total = 0
    for page in _pages(client, path, query, limit):
        items += page["items"]
        total = page["total"]
    if len(items) < total:
        say(f"{len(items)} of {total}; --limit 0 shows all of them.")
    return items


def in_path(name: str) -> str:
    """Return a name or id as one segment of a path."""
    return quote(name, safe="")


def _pages(client: Client, path: str, query: str, limit: int) -> Iterator[dict[str, Any]]:
    return client.pages(path, limit, **({"q": query} if query else {}))
