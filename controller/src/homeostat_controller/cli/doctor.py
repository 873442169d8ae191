"""`homeostat doctor`: what stands between this command line and a working controller, each point with its cure."""

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import typer

from homeostat_controller.cli.output import Column, Format, Output, write
from homeostat_controller.client.client import Client
from homeostat_controller.client.context import Given, find
from homeostat_controller.client.exits import CommandError, Exit

LIST = (Column("CHECK", "check"), Column("STATE", "state"), Column("WHY", "why"), Column("NEXT", "next"))
# State, why, next command.
Finding = tuple[str, str, str]


def doctor(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Check address, reachability, sign-in, database, policies and endpoints; name the cure for what is wrong."""
    code = Exit.DONE
    rows: list[dict[str, Any]] = []
    for name, check in _checks(context.obj):
        try:
            state, why, then = check()
        except CommandError as error:
            state, why, then = "failed", f"{error.what} {error.why}".strip(), _cure(error)
            code = code or error.code
        rows.append({"check": name, "state": state, "why": why, "next": then})
        if code is Exit.NOT_REACHABLE:
            break
    write(rows, LIST, output)
    raise typer.Exit(code)


def _cure(error: CommandError) -> str:
    """Return the next command; for a controller that is not there that is not this one again."""
    return "homeostat controller run" if error.code is Exit.NOT_REACHABLE else error.then


def _checks(given: Given) -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "command line", _version
    found: list[Client] = []
    yield "address", lambda: _address(given, found)
    if found:
        client = found[0]
        yield "answers", lambda: _answers(client)
        yield "ready", lambda: _ready(client)
        yield "signed in", lambda: _signed_in(client)
        yield "policies", lambda: _policies(client)
        yield "endpoints", lambda: _endpoints(client)
        yield "approvals", lambda: _approvals(client)


def _version() -> Finding:
    python = ".".join(map(str, sys.version_info[:3]))
    return "ok", f"homeostat {version('homeostat-controller')}, Python {python}", ""


def _address(given: Given, found: list[Client]) -> Finding:
    target = find(given, os.environ)
    found.append(Client(target))
    return "ok", target.url, ""


def _answers(client: Client) -> Finding:
    client.get("/healthz")
    return "ok", "", ""


def _ready(client: Client) -> Finding:
    client.get("/readyz")
    return "ok", "The database answers.", ""


def _signed_in(client: Client) -> Finding:
    return "ok", f"As {client.get('/session')['name']}.", ""


def _policies(client: Client) -> Finding:
    found = client.get("/policies", limit=1)
    if not found["total"]:
        return "waiting", "No policy is published: agents only observe.", "homeostat policy new NAME"
    lab = " Signed with a lab key that lies on the controller." if found["lab_keys"] else ""
    return "ok", f"{found['total']} published.{lab}", ""


def _endpoints(client: Client) -> Finding:
    total = client.get("/endpoints", limit=1)["total"]
    if not total:
        return "waiting", "No endpoint has joined.", "homeostat enrol token create > token"
    offline = client.get("/endpoints", limit=1, q="status:offline")["total"]
    if offline:
        return "degraded", f"{offline} of {total} are offline.", "homeostat endpoints list -q status:offline"
    return "ok", f"All {total} are connected.", ""


def _approvals(client: Client) -> Finding:
    waiting = client.get("/approvals", limit=1, q="status:waiting")["total"]
    return ("waiting", f"{waiting} wait for you.", "homeostat approvals list") if waiting else ("ok", "None waits.", "")
