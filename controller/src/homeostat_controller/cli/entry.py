"""The command line's root: which sub-commands there are, and how every error ends."""

import os
import sys
from typing import Annotated

import typer

from homeostat_controller.cli import (
    approvals,
    audit,
    console,
    controller,
    demo,
    doctor,
    endpoints,
    enrol,
    incidents,
    login,
    policy,
)
from homeostat_controller.cli.output import say
from homeostat_controller.client.context import Given
from homeostat_controller.client.exits import CommandError, Exit

# Everything below `homeostat`; a new noun is one module with an `app` and one line here.
NOUNS = (
    ("controller", controller.app),
    ("endpoints", endpoints.app),
    ("incidents", incidents.app),
    ("approvals", approvals.app),
    ("policy", policy.app),
    ("enrol", enrol.app),
    ("audit", audit.app),
    ("demo", demo.app),
)

app = typer.Typer(
    name="homeostat",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Endpoints that keep themselves healthy, within what you delegate.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 waits for approval, 4 refused by policy, 5 not reachable.",
)
for _noun, _app in NOUNS:
    app.add_typer(_app, name=_noun)
app.command("console")(console.console)
app.command("doctor")(doctor.doctor)
app.command("login")(login.login)
app.command("logout")(login.logout)


@app.callback()
def root(
    context: typer.Context,
    server: Annotated[str, typer.Option(envvar="HOMEOSTAT_SERVER", help="The controller's address.")] = "",
    token_file: Annotated[
        str, typer.Option(envvar="HOMEOSTAT_TOKEN_FILE", help="A file with the token, for --server.")
    ] = "",
    data_dir: Annotated[
        str, typer.Option(help="The data folder of a controller on this machine (also HOMEOSTAT_DATA_DIR).")
    ] = "",
) -> None:
    """Remember which controller is meant, for whichever command follows."""
    context.obj = Given(server, token_file, data_dir)


def main() -> None:
    """Run the command line and leave with one of the exit codes; nothing ends in a traceback."""
    try:
        app(prog_name="homeostat")
    except CommandError as error:
        tell(error)
        sys.exit(error.code)
    except OSError as error:
        tell(CommandError("A file cannot be used.", str(error)))
        sys.exit(Exit.FAILED)
    except Exception as error:
        if os.environ.get("HOMEOSTAT_DEBUG"):
            raise
        why = f"{type(error).__name__}: {error}"
        tell(CommandError("This command met an error of its own.", why, "Run it again with HOMEOSTAT_DEBUG=1."))
        sys.exit(Exit.FAILED)


def tell(error: CommandError) -> None:
    """Print what, why and the next command, a line each."""
    say(f"error: {error.what}")
    if error.why:
        say(f"  why:  {error.why}")
    if error.then:
        say(f"  next: {error.then}")
