"""`homeostat endpoints`: the fleet, one line each, and one endpoint in full."""

from typing import Annotated, Any

import typer

from homeostat_controller.cli.options import Limit, Query, in_path, told
from homeostat_controller.cli.output import Column, Format, Output, moment, write, write_one
from homeostat_controller.client.context import connect

app = typer.Typer(no_args_is_help=True, help="The machines under care.")


def policy_revision(value: Any) -> str:
    """Return a policy reference as people write it."""
    return f"{value['name']} r{value['revision']}" if value and value.get("name") else "-"


def services(value: Any) -> str:
    """Return services with their states."""
    return ", ".join(f"{one['name']} {one['state']}" for one in value or ()) or "-"


LIST = (
    Column("ENDPOINT", "name"),
    Column("STATUS", "status"),
    Column("SITE", "site"),
    Column("GROUP", "group"),
    Column("OPEN", "open_incidents"),
    Column("POLICY", "policy", policy_revision),
    Column("OS", "os"),
    Column("AGENT", "agent_version"),
    Column("LAST SEEN", "last_seen_at", moment),
    Column("WHY", "detail"),
)
DETAIL = (
    Column("Endpoint", "name"),
    Column("Id", "id"),
    Column("Place", "place"),
    Column("Labels", "labels"),
    Column("Status", "status"),
    Column("Why", "detail"),
    Column("Last seen", "last_seen_at", moment),
    Column("Enrolled", "enrolled_at", moment),
    Column("Agent", "agent_version"),
    Column("Model", "model"),
    Column("System", "os"),
    Column("Services", "services", services),
    Column("Policy offered", "policy_status.offered", policy_revision),
    Column("Policy active", "policy_status.active", policy_revision),
    Column("Policy last good", "policy_status.last_good", policy_revision),
    Column("Policy rejected", "policy_status.rejected", policy_revision),
    Column("Rejected because", "policy_status.rejected_reason"),
    Column("Anomaly p-value", "anomaly_p_value"),
    Column("Outbox records", "outbox_records"),
    Column("Certificate until", "certificate_not_after", moment),
)


@app.command("list")
def list_(context: typer.Context, query: Query = "", limit: Limit = 0, output: Output = Format.TABLE) -> None:
    """List endpoints, those that match the filter."""
    page = told(connect(context.obj), "/endpoints", query, limit)
    write(page, LIST, output)


@app.command()
def show(
    context: typer.Context,
    endpoint: Annotated[str, typer.Argument(help="Its name or id.")],
    output: Output = Format.TABLE,
) -> None:
    """Show one endpoint: state, services, and what became of the policies it was offered."""
    write_one(connect(context.obj).get(f"/endpoints/{in_path(endpoint)}"), DETAIL, output)
