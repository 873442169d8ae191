"""`homeostat policy`: written in YAML, checked here, signed and offered by the controller.

`check` needs no controller: it compiles with the very code that publishing uses.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from homeostat_controller.cli.endpoints import policy_revision
from homeostat_controller.cli.options import Limit, Timeout, Wait, in_path, told
from homeostat_controller.cli.output import Column, Format, Output, clean, moment, say, write, write_one
from homeostat_controller.cli.policy_template import TEMPLATE
from homeostat_controller.client.client import Client, wait_for
from homeostat_controller.client.context import connect
from homeostat_controller.client.exits import CommandError, Exit

TEXT_BYTES_MAX = 1 << 20
app = typer.Typer(no_args_is_help=True, help="What agents may do alone.")

LIST = (
    Column("POLICY", "name"),
    Column("REVISION", "revision"),
    Column("ACTIVE ON", "endpoints_active"),
    Column("PUBLISHED", "published_at", moment),
    Column("BY", "published_by"),
)
DETAIL = (*LIST, Column("SHA-256", "sha256"), Column("LAB KEYS", "lab_keys"))
STATUS = (
    Column("ENDPOINT", "endpoint"),
    Column("STATE", "state"),
    Column("OFFERED", "status.offered", policy_revision),
    Column("ACTIVE", "status.active", policy_revision),
    Column("LAST GOOD", "status.last_good", policy_revision),
    Column("REJECTED", "status.rejected", policy_revision),
    Column("BECAUSE", "status.rejected_reason"),
)
MISTAKES = (Column("LINE", "line"), Column("COLUMN", "column"), Column("PATH", "path"), Column("SENTENCE", "sentence"))
PUBLISHED = (
    Column("Policy", "name"),
    Column("Revision", "revision"),
    Column("Selects endpoints", "endpoints"),
    Column("SHA-256", "sha256"),
    Column("Lab keys", "lab_keys"),
)
_SETTLED = ("active", "rejected", "outranked")

File = Annotated[Path, typer.Argument(help="A policy in YAML.")]
Named = Annotated[str, typer.Argument(metavar="POLICY", help="Its name.")]


@app.command()
def new(
    name: Named, output_file: Annotated[Path | None, typer.Option("--file", help="Where to write it.")] = None
) -> None:
    """Write a first policy to start from: it is valid, and only observes and asks."""
    path = output_file or Path(f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(TEMPLATE.replace("NAME", name))
    except FileExistsError:
        raise CommandError(f"{path} is there already.", "", "Choose another name with --file.", Exit.USAGE) from None
    say(f"{path} is written.\nnext: homeostat policy check {path}")


@app.command()
def check(file: File, output: Output = Format.TABLE) -> None:
    """Find every mistake in a policy, without a controller; the exit code is 1 when there is one."""
    from homeostat_controller.policies import document  # noqa: PLC0415  # the YAML parser, for this command only

    problems = document.compile_policy(_read(file)).problems
    found = [
        {"line": one.line, "column": one.column, "path": ".".join(map(str, one.path)), "sentence": one.sentence}
        for one in problems
    ]
    if output is not Format.TABLE:
        write(found, MISTAKES, output)
    for one in found if output is Format.TABLE else ():
        typer.echo(clean(f"{file}:{one['line']}:{one['column']} {one['sentence']}"))
    if found:
        raise typer.Exit(Exit.FAILED)
    say(f"{file}: no mistake.")


@app.command()
def publish(
    context: typer.Context, file: File, wait: Wait = False, timeout: Timeout = 60, output: Output = Format.TABLE
) -> None:
    """Sign a policy and offer it to every endpoint it selects. With --wait, until each has taken or refused it."""
    client = connect(context.obj)
    made = client.post("/policies", {"text": _read(file), "file": str(file)})
    write_one(made, PUBLISHED, output)
    if not wait:
        say(f"next: homeostat policy status {made['name']}")
        return
    found = wait_for(lambda: _all_settled(client, made["name"]), timeout, "An answer of every endpoint")
    rejected = [one for one in found if one["state"] == "rejected"]
    if rejected:
        reason = rejected[0]["status"]["rejected_reason"]
        raise CommandError(
            f"{len(rejected)} of {len(found)} endpoints rejected it.",
            f"{rejected[0]['endpoint']}: {reason}",
            f"homeostat policy status {made['name']}",
        )
    say(f"All {len(found)} endpoints have taken it.")


@app.command("list")
def list_(context: typer.Context, limit: Limit = 100, output: Output = Format.TABLE) -> None:
    """List policies."""
    write(told(connect(context.obj), "/policies", "", limit), LIST, output)


@app.command()
def show(context: typer.Context, policy: Named, output: Output = Format.TABLE) -> None:
    """Show the published revision of a policy, with its text."""
    found = connect(context.obj).get(f"/policies/{in_path(policy)}")
    write_one(found, DETAIL, output)
    if output is Format.TABLE:
        typer.echo("\n" + clean(found["text"]))


@app.command()
def status(context: typer.Context, policy: Named, limit: Limit = 100, output: Output = Format.TABLE) -> None:
    """Show what became of a policy on each endpoint: offered, active, last good, rejected and why."""
    write(told(connect(context.obj), f"/policies/{in_path(policy)}/status", "", limit), STATUS, output)


def _all_settled(client: Client, policy: str) -> list[dict[str, Any]] | None:
    found = client.items(f"/policies/{in_path(policy)}/status", 0)
    return found if all(one["state"] in _SETTLED for one in found) else None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            text = stream.read(TEXT_BYTES_MAX + 1)
        if len(text) > TEXT_BYTES_MAX:
            raise CommandError(f"{file} is too large.", f"{TEXT_BYTES_MAX} bytes are allowed.", "", Exit.USAGE)
        return text.decode("utf-8")
    except FileNotFoundError:
        raise CommandError(f"{file} does not exist.", "", "homeostat policy new NAME", Exit.USAGE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read.", str(error), "", Exit.USAGE) from None
