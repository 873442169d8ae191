"""The processes of a declared program: which they are, how much CPU they use, and the end of one of them.

A process is known by the file it executes, which it cannot change; for a script, by its interpreter's arguments,
which only its owner could forge, to end his own process.
"""

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from homeostat.plan import EndProcess
from homeostat_agent.actuator.host import handles, process_table
from homeostat_agent.actuator.host.port import ProcessFacts, StepResult
from homeostat_agent.config import Program
from homeostat_agent.procfs import CLOCK_TICKS, ProcessStat

_PROTECTED = "it belongs to the agent or runs it"
# What the kernel puts behind the path of a file that was replaced while it ran.
_DELETED = " (deleted)"
# `#!interpreter argument` gives the script as the second or third argument.
_SCRIPT_PLACES = slice(1, 3)


def measure(program: Program, interval_s: float, protected: Collection[int]) -> tuple[ProcessFacts, ...]:
    """Return the program's processes, by pid, with the CPU they used during `interval_s` seconds."""
    before = {one.pid: one for one in find(program)}
    began = time.monotonic()
    if before:
        time.sleep(interval_s)
    untouchable = _untouchable(protected)
    found = []
    for pid, earlier in sorted(before.items()):
        later = process_table.process(pid)
        if later is not None and later.started == earlier.started:
            ticks_per_s = (later.ticks - earlier.ticks) / (time.monotonic() - began)
            reason = _PROTECTED if pid in untouchable else ""
            found.append(ProcessFacts(pid, later.started, 100.0 * ticks_per_s / CLOCK_TICKS, reason))
    return tuple(found)


def find(program: Program) -> list[ProcessStat]:
    """Return the program's processes."""
    pattern = _pattern(program)
    return [one for one in process_table.processes() if pattern.matches(one.pid)]


def end(programs: Iterable[Program], step: EndProcess, deadline: float, protected: Collection[int]) -> StepResult:
    """End one process of a declared program: SIGTERM, after the step's grace SIGKILL; never a protected one.

    `deadline` is on the monotonic clock. A process that has ended is ended: that succeeds.
    """
    if step.pid in _untouchable(protected):
        return StepResult(ok=False, detail=f"process {step.pid} may not be ended: {_PROTECTED}")
    with handles.handle(step.pid, step.started) as handle:
        if handle is None:
            return StepResult(ok=True, detail=f"process {step.pid} had ended already")
        if not any(_pattern(program).matches(step.pid) for program in programs):
            return StepResult(ok=False, detail=f"process {step.pid} is of no declared program")
        return _end(handle, step, deadline)


def _end(handle: int, step: EndProcess, deadline: float) -> StepResult:
    try:
        by = handles.escalate(
            lambda number: handles.send(handle, number),
            lambda until: handles.ends(handle, until),
            step.grace_s,
            deadline,
        )
    except PermissionError:
        return StepResult(ok=False, detail=f"process {step.pid} is not ours to end")
    said = f"ended process {step.pid} with {by.name}" if by else f"process {step.pid} did not end"
    return StepResult(by is not None, said)


def _untouchable(protected: Collection[int]) -> set[int]:
    return {1, *process_table.ancestors(os.getpid()), *protected}


@dataclass(frozen=True, slots=True)
class _Pattern:
    executables: frozenset[str]
    arguments: tuple[str, ...]
    is_script: bool

    def matches(self, pid: int) -> bool:
        executable = process_table.executable(pid).removesuffix(_DELETED)
        if not executable:
            return False
        if executable in self.executables:
            return _in_order(self.arguments, process_table.command_line(pid)[1:])
        if not self.is_script:
            return False
        argv = process_table.command_line(pid)
        if not any(one in self.executables for one in argv[_SCRIPT_PLACES]):
            return False
        return _in_order(self.arguments, argv[1:])


def _pattern(program: Program) -> _Pattern:
    real = os.path.realpath(program.executable)
    return _Pattern(frozenset({program.executable, real}), program.arguments, _is_script(real))


def _is_script(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _in_order(wanted: tuple[str, ...], there: tuple[str, ...]) -> bool:
    rest = iter(there)
    return all(one in rest for one in wanted)
