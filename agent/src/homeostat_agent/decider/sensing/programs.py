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
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process runs: `executable` is "" where only its owner may know it."""

    executable: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A declared program, made ready: all names of its executable, and for a script its interpreter."""

    name: str
    executables: frozenset[str]
    arguments: tuple[str, ...]
    interpreter: str = ""

    def matches(self, identity: Identity) -> bool:
        """Say whether a process with this identity is the program's."""
        argv = identity.arguments
        runs = identity.executable or (argv[0] if argv else "")
        if runs in self.executables:
            return in_order(self.arguments, argv[1:])
        if not self.interpreter or not Path(runs).name.startswith(self.interpreter):
            return False
        places = [i for i in SCRIPT_PLACES if i < len(argv) and argv[i] in self.executables]
        return bool(places) and in_order(self.arguments, argv[places[0] + 1 :])


def pattern(program: Program) -> Pattern:
    """Make a declared program ready for matching; its file is read once, to see whether it is a script."""
    names = frozenset({program.executable, os.path.realpath(program.executable)})
    return Pattern(program.name, names, program.arguments, _interpreter(program.executable))


def identity(pid: int, proc: Path = PROC) -> Identity:
    """Return what a process runs; empty for one that is gone or a thread of the kernel."""
    try:
        executable = os.readlink(f"{proc}/{pid}/exe")  # noqa: PTH115  # once per process of the machine
    except OSError:
        executable = ""
    argv = read_once(f"{proc}/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    return Identity(executable.removesuffix(_DELETED), tuple(os.fsdecode(one) for one in argv))


def in_order(wanted: Sequence[str], there: Sequence[str]) -> bool:
    """Say whether all of `wanted` occur in `there`, in this order."""
    rest = iter(there)
    return all(one in rest for one in wanted)


def _interpreter(path: str) -> str:
    """Return the name of a script's interpreter, or "" for what is no script."""
    try:
        with Path(path).open("rb") as file:
            first = file.read(SHEBANG_BYTES_MAX).split(b"\n", 1)[0]
    except OSError:
        return ""
    words = os.fsdecode(first).removeprefix("#!").split()
    if not first.startswith(b"#!") or not words:
        return ""
    names = [Path(word).name for word in words if not word.startswith("-")]
    return names[1] if names[0] == "env" and len(names) > 1 else names[0]
