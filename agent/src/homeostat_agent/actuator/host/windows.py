"""The Windows host: declared services, programs and folders, and nothing else. Held to the same suite as Linux's.

Processes are told apart by pid and creation time, which psutil checks again before it ends one.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import psutil

from homeostat.plan import EndProcess, RemoveFile, RestartService, RestoreFile, StartService, Step, StopService
from homeostat_agent.actuator.host.port import (
    Fact,
    FactQuery,
    Facts,
    FolderQuery,
    Missing,
    ProcessesQuery,
    ProcessFacts,
    ProgramFacts,
    ServiceQuery,
    StepResult,
)
from homeostat_agent.actuator.host.windows_files import Files
from homeostat_agent.actuator.host.windows_services import (
    TICKS_PER_S,
    ServiceControl,
    Services,
    WindowsServiceControl,
)
from homeostat_agent.actuator.port import Clock
from homeostat_agent.config import AgentConfig, Program
from homeostat_agent.program_matching import Identity, pattern

PURGE_PERIOD_S = 600.0
KILLED_S = 5.0
_PROTECTED = "it belongs to the agent or runs it"


class WindowsHost:
    """This machine; `protected` names processes, such as the decider's, that are never to be ended."""

    def __init__(
        self,
        config: AgentConfig,
        clock: Clock,
        protected: Callable[[], Collection[int]],
        control: ServiceControl | None = None,
    ) -> None:
        self._services = Services(config.service, control or WindowsServiceControl())
        self._folders = {one.name: one for one in config.folder}
        self._programs = {one.name: one for one in config.program}
        self._clock = clock
        self._protected = protected
        self._files = Files(Path(config.actuator.data_dir, "trash"))
        self._purged_at = float("-inf")

    def read(self, queries: Iterable[FactQuery]) -> Facts:
        """See Host."""
        return {query: self._fact(query) for query in queries}

    def run(self, step: Step, within_s: float) -> StepResult:
        """See Host."""
        match step:
            case StartService() | StopService() | RestartService():
                return self._services.run(step, within_s)
            case EndProcess():
                return self._end(step, within_s)
            case RemoveFile() | RestoreFile():
                return self._run_file(step)

    def recover(self) -> None:
        """Services are the service control manager's own; nothing is left half recorded."""

    def tidy(self) -> None:
        """See Host."""
        if self._clock.elapsed() - self._purged_at >= PURGE_PERIOD_S:
            self._purged_at = self._clock.elapsed()
            self._files.purge(self._clock.now().timestamp())

    def _fact(self, query: FactQuery) -> Fact:
        now_s = self._clock.now().timestamp()
        match query:
            case ServiceQuery():
                return self._services.read(query, now_s)
            case ProcessesQuery(name, interval_s):
                program = self._programs.get(name)
                if program is None:
                    return Missing(f"This endpoint declares no program {name!r}.")
                return ProgramFacts(name, tuple(self._measure(program, interval_s)))
            case FolderQuery(name):
                folder = self._folders.get(name)
                if folder is None:
                    return Missing(f"This endpoint declares no folder {name!r}.")
                return self._files.read(folder, query, now_s)

    def _measure(self, program: Program, interval_s: float) -> list[ProcessFacts]:
        made = pattern(program)
        before = {one: _cpu_s(one) for one in psutil.process_iter() if made.surely_matches(_identity(one))}
        began = time.monotonic()
        if before:
            time.sleep(interval_s)
        found = []
        for process, earlier_s in sorted(before.items(), key=lambda one: one[0].pid):
            later_s = _cpu_s(process)
            if earlier_s is not None and later_s is not None:
                percent = 100.0 * (later_s - earlier_s) / (time.monotonic() - began)
                reason = _PROTECTED if process.pid in self._untouchable() else ""
                found.append(ProcessFacts(process.pid, _started(process), percent, reason))
        return found

    def _end(self, step: EndProcess, within_s: float) -> StepResult:
        if step.pid in self._untouchable():
            return StepResult(ok=False, detail=f"process {step.pid} may not be ended: {_PROTECTED}")
        try:
            process = psutil.Process(step.pid)
            if _started(process) != step.started:
                return StepResult(ok=True, detail=f"process {step.pid} had ended already")
            runs = _identity(process)
            if not any(pattern(program).surely_matches(runs) for program in self._programs.values()):
                return StepResult(ok=False, detail=f"process {step.pid} is of no declared program")
            process.terminate()
            process.wait(min(within_s, step.grace_s + KILLED_S))
        except psutil.NoSuchProcess:
            return StepResult(ok=True, detail=f"process {step.pid} had ended already")
        except psutil.Error as error:
            return StepResult(ok=False, detail=f"process {step.pid} did not end: {error}")
        return StepResult(ok=True, detail=f"ended process {step.pid}")

    def _run_file(self, step: RemoveFile | RestoreFile) -> StepResult:
        folder = self._folders.get(step.folder)
        if folder is None:
            return StepResult(ok=False, detail=f"This endpoint declares no folder {step.folder!r}.")
        return self._files.remove(folder, step) if isinstance(step, RemoveFile) else self._files.restore(folder, step)

    def _untouchable(self) -> set[int]:
        # 0 and 4 are the system's own.
        me = psutil.Process(os.getpid())
        return {0, 4, me.pid, *(one.pid for one in me.parents()), *self._protected()}


def _identity(process: psutil.Process) -> Identity:
    try:
        return Identity(process.exe(), tuple(process.cmdline()))
    except (psutil.Error, OSError):
        return Identity("", ())


def _cpu_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _started(process: psutil.Process) -> int:
    return int(process.create_time() * TICKS_PER_S)
