"""`homeostat demo`: a controller, three real agents and real faults on this machine; no root, loopback only."""

from pathlib import Path
from typing import Annotated

import typer

from homeostat_controller.cli.output import say
from homeostat_controller.client.exits import CommandError, Exit
from homeostat_controller.demo import faults, layout, script, stage, watch
from homeostat_controller.demo.layout import Layout
from homeostat_controller.demo.watch import TooLate

app = typer.Typer(no_args_is_help=True, help="A fleet on this machine, to look at: real agents, real faults.")

Folder = Annotated[Path, typer.Option(help="Where everything of the demo lies.")]
Models = Annotated[Path, typer.Option(help="The folder with the built model.")]
FOLDER = Path(".demo")
MODELS = Path("build/models")


@app.command()
def up(folder: Folder = FOLDER, models: Models = MODELS) -> None:
    """Start it (or find it running), break things, and show them heal."""
    try:
        demo = layout.make(folder.resolve())
    except OSError as error:
        raise CommandError("The demo cannot be set up.", str(error)) from None
    if stage.is_up(demo) and demo.told.exists():
        typer.echo(script.again(_link(demo)))
        return
    try:
        script.up(demo, models.resolve(), typer.echo)
    except (TooLate, faults.FaultError) as error:
        logs = demo.log("controller").parent
        raise CommandError("The demo stopped half-way.", str(error), f"Logs: {logs}; ./demo stop ends it.") from None
    typer.echo(script.closing(demo, _link(demo)))


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help="One of: " + ", ".join(faults.FAULTS))],
    folder: Folder = FOLDER,
    models: Models = MODELS,  # noqa: ARG001  # ./demo gives both options to every sub-command
) -> None:
    """Break something else."""
    if name not in faults.FAULTS:
        known = ", ".join(faults.FAULTS)
        raise CommandError(f"There is no fault called {name!r}.", "", f"Known faults: {known}.", Exit.USAGE)
    demo = _there(folder)
    chosen = faults.FAULTS[name]
    try:
        chosen.inject(demo, chosen.endpoint)
    except faults.FaultError as error:
        raise CommandError("The fault was not injected.", str(error)) from None
    say(f"{chosen.what}; watch {demo.url} or: {script.command(demo)} incidents list")
    if name == "config":
        say("The agent only watches it. Put it back with: ./demo mend")


@app.command()
def mend(folder: Folder = FOLDER, models: Models = MODELS) -> None:  # noqa: ARG001  # ./demo gives both options to every sub-command
    """Put the configuration file back that the fault `config` breaks."""
    faults.repair_config(_there(folder))
    say("The configuration file is valid again.")


@app.command()
def status(folder: Folder = FOLDER, models: Models = MODELS) -> None:  # noqa: ARG001  # ./demo gives both options to every sub-command
    """Show what runs, and each endpoint's state as the controller knows it."""
    demo = _there(folder)
    states = stage.states(demo)
    typer.echo(f"{'controller':<11} {_word(states['controller'])}  {demo.url}")
    for endpoint in layout.ENDPOINTS:
        row = watch.endpoint(stage.client(demo), endpoint.name) if states["controller"] else None
        state = f"{row['status']}  {row['detail']}".rstrip() if row else ""
        typer.echo(f"{endpoint.name:<11} {_word(states[endpoint.name])}  {state}".rstrip())
    if not all(states.values()):
        say("next: ./demo starts what is missing")


def _word(runs: bool) -> str:  # noqa: FBT001  # a fact, not a switch
    return "running" if runs else "ended  "


@app.command()
def stop(folder: Folder = FOLDER, models: Models = MODELS) -> None:  # noqa: ARG001  # ./demo gives both options to every sub-command
    """End everything the demo started and remove its folder."""
    if not folder.exists():
        say("No demo is there; nothing to stop.")
        return
    stage.end(layout.make(folder.resolve()))
    say("The demo has ended; nothing of it is left.")


def _there(folder: Path) -> Layout:
    if not (folder / "chosen.json").exists():
        raise CommandError("There is no demo here.", f"{folder} does not exist.", "./demo starts one.")
    return layout.make(folder.resolve())


def _link(demo: Layout) -> str:
    return str(stage.client(demo).post("/welcome-links", {})["url"])
