"""`homeostat incidents`: what was found, and what became of it."""

from typing import Annotated, Any

import typer

from homeostat_controller.cli.options import Limit, Query, Timeout, Wait, in_path, told
from homeostat_controller.cli.output import Column, Format, Output, moment, say, write, write_one
from homeostat_controller.client.client import Client, wait_for
from homeostat_controller.client.context import connect
from homeostat_controller.client.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Detected deviations and what was done about them.")

LIST = (
    Column("INCIDENT", "id"),
    Column("STATUS", "status"),
    Column("ENDPOINT", "endpoint"),
    Column("FAULT", "fault"),
    Column("SUBJECT", "subject"),
    Column("CONFIDENCE", "confidence"),
    Column("DECISION", "decision"),
    Column("OPENED", "opened_at", moment),
    Column("CLOSED", "closed_at", moment),
)
DETAIL = (
    Column("Incident", "id"),
    Column("Endpoint", "endpoint"),
    Column("Fault", "fault"),
    Column("Subject", "subject"),
    Column("Status", "status"),
    Column("Confidence", "confidence"),
    Column("Opened", "opened_at", moment),
    Column("Closed", "closed_at", moment),
    Column("Evidence", "evidence", lambda value: "; ".join(one["sentence"] for one in value or ()) or "-"),
    Column("Decided", "reason"),
    Column("Outcome", "outcome"),
    Column("Approval", "approval_id"),
)
TIMELINE = (
    Column("STEP", "step"),
    Column("AT", "at", moment),
    Column("WHAT", "sentence"),
)
# What a script may read from the state an incident has settled in.
_SETTLED = {
    "healed": Exit.DONE,
    "closed": Exit.DONE,
    "waiting": Exit.WAITS_FOR_APPROVAL,
    "refused": Exit.REFUSED_BY_POLICY,
    "rolled-back": Exit.FAILED,
    "unverified": Exit.FAILED,
    "failed": Exit.FAILED,
}
# Decisions after which an agent does nothing.
_LEFT_TO_PEOPLE = ("observe", "shadow", "escalate")

Named = Annotated[str, typer.Argument(metavar="INCIDENT", help="Its id.")]


@app.command("list")
def list_(context: typer.Context, query: Query = "", limit: Limit = 100, output: Output = Format.TABLE) -> None:
    """List incidents, the newest first."""
    write(told(connect(context.obj), "/incidents", query, limit), LIST, output)


@app.command()
def show(
    context: typer.Context, incident: Named, wait: Wait = False, timeout: Timeout = 60, output: Output = Format.TABLE
) -> None:
    """Show one incident. With --wait, wait until it is settled; the exit code then says how."""
    client = connect(context.obj)
    if not wait:
        write_one(_get(client, incident), DETAIL, output)
        return
    found = wait_for(lambda: _settled(client, incident), timeout, f"A settled state of {incident}")
    write_one(found, DETAIL, output)
    raise typer.Exit(_code_of(found) or Exit.DONE)


@app.command()
def timeline(context: typer.Context, incident: Named, output: Output = Format.TABLE) -> None:
    """Show how it went: detected, decided, pre-check, acted, verified or undone."""
    steps = connect(context.obj).get(f"/incidents/{in_path(incident)}/timeline")["steps"]
    write(steps, TIMELINE, output)
    if output is Format.TABLE and steps and steps[-1]["state"] == "waiting" and steps[-1].get("approval_id"):
        say(f"next: homeostat approvals show {steps[-1]['approval_id']}")


def _get(client: Client, incident: str) -> dict[str, Any]:
    return client.get(f"/incidents/{in_path(incident)}")


def _settled(client: Client, incident: str) -> dict[str, Any] | None:
    found = _get(client, incident)
    return found if _code_of(found) is not None else None


def _code_of(found: dict[str, Any]) -> Exit | None:
    """Return what an incident's state means to a script; None while an agent still works on it."""
    if found["status"] == "open" and found["decision"] in _LEFT_TO_PEOPLE:
        return Exit.REFUSED_BY_POLICY
    return _SETTLED.get(found["status"])
