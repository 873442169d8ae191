"""Which processes are a declared program's.

Invariant: a process counts only if its executable, or the script its interpreter runs, is the declared one, and all
declared arguments stand in its command line in their order.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homeostat_agent.config import Program
from homeostat_agent.procfs import PROC, read_once

SHEBANG_BYTES_MAX = 256
# An interpreter's script stands behind at most one option of its own (`python3 -u script`).
SCRIPT_PLACES = (1, 2)
# What the kernel puts behind the path of a file that was replaced while it ran.
_DELETED = " (deleted)"
_VERSION = "0123456789.-"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process runs: `executable` is "" where only its owner may know it; `arguments` it may have changed."""

    executable: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A declared program, made ready: all names of its executable, and for a script those of its interpreter."""

    name: str
    executables: frozenset[str]
    arguments: tuple[str, ...]
    interpreters: tuple[str, ...] = ()

    def matches(self, identity: Identity) -> bool:
        """Say whether a process with this identity is the program's, as far as can be seen.

        Where its executable is not to be seen, what the process says of itself is taken.
        """
        argv = identity.arguments
        runs = os.path.normcase(identity.executable or (argv[0] if argv else ""))
        if runs in self.executables:
            return in_order(self.arguments, argv[1:])
        if not any(_is(Path(runs).name, one) for one in self.interpreters):
            return False
        places = [i for i in SCRIPT_PLACES if i < len(argv) and os.path.normcase(argv[i]) in self.executables]
        return bool(places) and in_order(self.arguments, argv[places[0] + 1 :])

    def surely_matches(self, identity: Identity) -> bool:
        """Say whether the process is the program's by the executable that the kernel knows, which it cannot forge."""
        return bool(identity.executable) and self.matches(identity)


def pattern(program: Program) -> Pattern:
    """Make a declared program ready for matching; its file is read once, to see whether it is a script."""
    names = (program.executable, os.path.realpath(program.executable))
    executables = frozenset(os.path.normcase(one) for one in names)
    return Pattern(program.name, executables, program.arguments, _interpreters(program.executable))


def identity(pid: int, proc: Path = PROC) -> Identity:
    """Return what a process runs; empty for one that is gone or a thread of the kernel."""
    try:
        executable = os.readlink(f"{proc}/{pid}/exe")  # noqa: PTH115  # once per process of the machine
    except OSError:
        executable = ""
    raw = read_once(f"{proc}/{pid}/cmdline")
    argv = raw.removesuffix(b"\0").split(b"\0") if raw else []
    return Identity(executable.removesuffix(_DELETED), tuple(os.fsdecode(one) for one in argv))


def in_order(wanted: Sequence[str], there: Sequence[str]) -> bool:
    """Say whether all of `wanted` occur in `there`, in this order."""
    rest = iter(there)
    return all(one in rest for one in wanted)


def _is(name: str, interpreter: str) -> bool:
    """Say whether a program is an interpreter; its name may go on with a version: python3 is python3.11."""
    return name.startswith(interpreter) and not name[len(interpreter) :].strip(_VERSION)


def _interpreters(path: str) -> tuple[str, ...]:
    """Return the names of a script's interpreter: as it is written, and of the file that this leads to."""
    words = _shebang(path)
    if words and Path(words[0]).name == "env":
        words = [_searched(word) for word in words[1:]]
    if not words:
        return ()
    names = (Path(one).name for one in (words[0], os.path.realpath(words[0])))
    return tuple(os.path.normcase(one) for one in dict.fromkeys(names) if one)


def _shebang(path: str) -> list[str]:
    """Return the words of a script's first line that are no options; none for what is no script."""
    try:
        with Path(path).open("rb") as file:
            first = file.read(SHEBANG_BYTES_MAX).split(b"\n", 1)[0]
    except OSError:
        return []
    words = os.fsdecode(first.removeprefix(b"#!")).split() if first.startswith(b"#!") else []
    return [word for word in words if not word.startswith("-") and "=" not in word]


def _searched(name: str) -> str:
    """Return where `env` finds a program, or its bare name where it finds none."""
    places = (f"{folder}/{name}" for folder in os.get_exec_path())
    return next((one for one in places if os.access(one, os.X_OK)), name)
