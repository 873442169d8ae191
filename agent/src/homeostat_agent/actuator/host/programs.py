"""The processes of a declared program: which they are, how much CPU they use, and the end of one of them.

A process is known by the file it executes, which it cannot change; for a script, by its interpreter's arguments,
which only its owner could forge, to end his own process.
"""

import os
import time
from collections.abc import Collection, Iterable

from homeostat.plan import EndProcess
from homeostat_agent.actuator.host import handles, process_table
from homeostat_agent.actuator.host.port import ProcessFacts, StepResult
from homeostat_agent.config import Program
from homeostat_agent.procfs import CLOCK_TICKS, ProcessStat
from homeostat_agent.program_matching import identity, pattern

_PROTECTED = "it belongs to the agent or runs it"


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
    made = pattern(program)
    return [one for one in process_table.processes() if made.surely_matches(identity(one.pid))]


def end(programs: Iterable[Program], step: EndProcess, deadline: float, protected: Collection[int]) -> StepResult:
    """End one process of a declared program: SIGTERM, after the step's grace SIGKILL; never a protected one.

    `deadline` is on the monotonic clock. A process that has ended is ended: that succeeds.
    """
    if step.pid in _untouchable(protected):
        return StepResult(ok=False, detail=f"process {step.pid} may not be ended: {_PROTECTED}")
    with handles.handle(step.pid, step.started) as handle:
        if handle is None:
            return StepResult(ok=True, detail=f"process {step.pid} had ended already")
        runs = identity(step.pid)
        if not any(pattern(program).surely_matches(runs) for program in programs):
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
