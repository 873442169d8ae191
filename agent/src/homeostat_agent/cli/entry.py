"""The command line's root: its sub-commands, and how every error ends. Commands load what they need, when they run."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeostat_agent.cli.exits import CommandError, Exit
from homeostat_agent.config import AgentConfig, ConfigError, load

DEFAULT_CONFIG = "/etc/homeostat-agent/agent.toml"
CONFIG_VARIABLE = "HOMEOSTAT_AGENT_CONFIG"


@dataclass(frozen=True, slots=True)
class Asked:
    """What every command is given: its options, the configuration and where that was found."""

    options: argparse.Namespace
    config: AgentConfig
    config_path: Path


@dataclass(frozen=True, slots=True)
class Command:
    """One sub-command: the module that holds it, its function, and what `--help` says."""

    module: str
    function: str
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _: None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing ends in a traceback."""
    options = _parser().parse_args(argv)
    path = Path(options.config)
    try:
        chosen: Command = options.chosen
        command = getattr(importlib.import_module(f"homeostat_agent.cli.{chosen.module}"), chosen.function)
        return int(command(Asked(options, load(path), path)))
    except BrokenPipeError:
        # Whoever read our output has had enough; stdout must not be flushed again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.FAILED)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("HOMEOSTAT_DEBUG"):
            raise
        return _tell(_explained(error))


def _explained(error: BaseException) -> CommandError:
    match error:
        case CommandError():
            return error
        case ConfigError():
            return CommandError("The configuration cannot be used.", str(error), code=Exit.USAGE)
        case KeyboardInterrupt():
            return CommandError("Interrupted.")
        case OSError():
            return CommandError("A file cannot be used.", str(error))
        case _:
            why = f"{type(error).__name__}: {error}"
            return CommandError("This command met an error of its own.", why, "Run it again with HOMEOSTAT_DEBUG=1.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="homeostat-agent",
        description="The endpoint's half of Homeostat: sense, decide, repair, verify, report.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 waits for approval, 4 refused by policy, 5 not reachable.",
    )
    nouns = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        _add(nouns, name, command)
    policy = nouns.add_parser("policy", help="the policy this endpoint decides by").add_subparsers(
        metavar="COMMAND", required=True
    )
    _add(policy, "show", Command("reading", "policy_show", "show the active policy, and what became of others"))
    return parser


def _add(to: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, command: Command) -> None:
    # Without abbreviations: `--token SECRET` must not be taken for `--token-file`.
    one = to.add_parser(name, help=command.summary, description=command.summary, allow_abbrev=False)
    one.add_argument(
        "--config",
        default=os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG),
        help=f"agent.toml (default {DEFAULT_CONFIG}, or {CONFIG_VARIABLE})",
    )
    one.add_argument("-o", "--output", choices=("table", "json"), default="table", help="how to write the result")
    command.arguments(one)
    one.set_defaults(chosen=command)


def _enrol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", default="-", help="a file with the join token; - (the default) reads stdin")
    parser.add_argument("--name", default="", help="the endpoint's name (default: agent.name, or the host name)")
    parser.add_argument("--again", action="store_true", help="replace the identity that is there")


def _why(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("incident", help="the beginning of an incident's id, or `last`")


def _sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=1, help="how many samples (default 1)")
    parser.add_argument(
        "--period", type=float, default=0.0, help="seconds between two (default: agent.sample_period_s)"
    )


def _incidents(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=100, help="at most this many, the newest first (default 100)")


COMMANDS: dict[str, Command] = {
    "run": Command("running", "run", "run the decider; this is what the service starts"),
    "actuate": Command("running", "actuate", "run the actuator; this is what the decider or a service starts"),
    "enrol": Command("enrolling", "enrol_endpoint", "join a controller with a single-use token", _enrol),
    "status": Command("reading", "status", "how this endpoint is, in a few lines"),
    "incidents": Command("reading", "incidents", "the latest incidents and how they ended", _incidents),
    "why": Command("reading", "why", "what was detected, decided, done and verified, and which rule settled it", _why),
    "outbox": Command("reading", "outbox", "what waits to be sent to the controller"),
    "doctor": Command("doctor", "doctor", "check everything the agent needs, a line each"),
    "sample": Command("sampling", "sample", "print readings of this endpoint, one JSON object a line", _sample),
}


def _tell(error: CommandError) -> int:
    print(f"error: {error.what}", file=sys.stderr)
    if error.why:
        print(f"  why:  {error.why}", file=sys.stderr)
    if error.then:
        print(f"  next: {error.then}", file=sys.stderr)
    return int(error.code)
