"""`homeostat approvals`: exception packs waiting for a person's yes or no.

An approval names the target that was shown. When the endpoint has changed since, the controller refuses it: nobody
approves one thing and gets another.
"""

import sys
from typing import Annotated, Any

import typer

from homeostat_controller.cli.options import Limit, Query, Reason, Timeout, Wait, Yes, in_path, told
from homeostat_controller.cli.output import Column, Format, Output, moment, say, write, write_one
from homeostat_controller.client.client import Client, wait_for
from homeostat_controller.client.context import connect
from homeostat_controller.client.exits import CommandError, Exit

app = typer.Typer(no_args_is_help=True, help="Repairs that wait for a person.")

LIST = (
    Column("APPROVAL", "id"),
    Column("STATUS", "status"),
    Column("ENDPOINT", "endpoint"),
    Column("FAULT", "fault"),
    Column("SUBJECT", "subject"),
    Column("PLAYBOOK", "playbook"),
    Column("RISK", "risk"),
    Column("EXPIRES", "expires_at", moment),
)
TARGET = (
    Column("Approval", "id"),
    Column("Endpoint", "endpoint"),
    Column("Fault", "fault"),
    Column("Subject", "subject"),
    Column("Why asked", "why_asked"),
    Column("Evidence", "evidence", lambda value: "; ".join(one["sentence"] for one in value or ()) or "-"),
    Column("Plan", "plan.forward"),
    Column("Undo", "plan.backward"),
    Column("If it is wrong", "undo"),
    Column("Expected effect", "plan.expected_effect"),
    Column("Risk", "risk"),
    Column("Status", "status"),
    Column("Expires", "expires_at", moment),
    Column("Decided by", "decided_by"),
    Column("Reason", "reason"),
)
_SETTLED = {"used": Exit.DONE, "void": Exit.REFUSED_BY_POLICY, "denied": Exit.REFUSED_BY_POLICY, "expired": Exit.FAILED}

Named = Annotated[str, typer.Argument(metavar="APPROVAL", help="Its id.")]


@app.command("list")
def list_(
    context: typer.Context, query: Query = "status:waiting", limit: Limit = 100, output: Output = Format.TABLE
) -> None:
    """List approvals, those that wait unless a filter says otherwise."""
    write(told(connect(context.obj), "/approvals", query, limit), LIST, output)


@app.command()
def show(context: typer.Context, approval: Named, output: Output = Format.TABLE) -> None:
    """Show what would be done on which endpoint, why a person is asked, and how it is undone."""
    write_one(_get(connect(context.obj), approval), TARGET, output)


@app.command()
def approve(  # noqa: PLR0913, PLR0917  # each is an option of the command line
    context: typer.Context,
    approval: Named,
    reason: Reason = "",
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = 60,
    output: Output = Format.TABLE,
) -> None:
    """Approve this one plan on this one endpoint, as it is shown."""
    client = connect(context.obj)
    pack = _confirmed(client, approval, reason, "Approve on 1 endpoint?", yes=yes)
    body = {"reason": reason, "expected": pack["target"]}
    _told(client.post(f"/approvals/{in_path(approval)}/approve", body), "Approved", output)
    if wait:
        raise typer.Exit(_outcome(client, approval, timeout))
    say(f"next: homeostat incidents timeline {pack['incident_id']}")


@app.command()
def deny(
    context: typer.Context, approval: Named, reason: Reason = "", yes: Yes = False, output: Output = Format.TABLE
) -> None:
    """Deny it; the endpoint does nothing."""
    client = connect(context.obj)
    _confirmed(client, approval, reason, "Deny?", yes=yes)
    _told(client.post(f"/approvals/{in_path(approval)}/deny", {"reason": reason}), "Denied", output)


def _confirmed(client: Client, approval: str, reason: str, question: str, *, yes: bool) -> dict[str, Any]:
    """Return the pack that a person agreed to decide about, as it was shown to them."""
    if not reason.strip():
        raise CommandError("A reason is needed.", "It is kept in the audit log.", 'Add --reason "…".', Exit.USAGE)
    pack = _get(client, approval)
    if not yes:
        write_one(pack, TARGET, Format.TABLE, sys.stderr)
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to ask.", "Input is no terminal.", "Add --yes in scripts.", Exit.USAGE)
        typer.confirm(question, abort=True, err=True)
    return pack


def _told(pack: dict[str, Any], what: str, output: Format) -> None:
    """Say what was answered; for programs, write the approval as it is now."""
    if output is not Format.TABLE:
        write_one(pack, TARGET, output)
    say(f"{what} on {pack['endpoint']}.")


def _get(client: Client, approval: str) -> dict[str, Any]:
    return client.get(f"/approvals/{in_path(approval)}")


def _outcome(client: Client, approval: str, timeout: float) -> Exit:
    """Wait until the approval is used up and its incident has ended; return what that means to a script."""
    pack = wait_for(lambda: _settled(client, approval), timeout, "The endpoint's answer")
    code = _SETTLED[pack["status"]]
    if code is not Exit.DONE:
        say(f"The approval is {pack['status']}: {pack.get('receipt_reason') or pack.get('reason') or 'no reason told'}")
        return code
    ended = wait_for(lambda: _ended(client, approval), timeout, "The repair's end")
    say(f"{ended['run_ending']}: {ended['run_reason']}")
    return Exit.DONE if ended["run_ending"] == "healed" else Exit.FAILED


def _settled(client: Client, approval: str) -> dict[str, Any] | None:
    pack = _get(client, approval)
    return pack if pack["status"] in _SETTLED else None


def _ended(client: Client, approval: str) -> dict[str, Any] | None:
    pack = _get(client, approval)
    return pack if pack["run_ending"] else None
