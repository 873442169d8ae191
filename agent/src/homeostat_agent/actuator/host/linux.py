"""The Linux host: declared services, programs and folders, and nothing else.

Everything that a query or a step names is looked up in the endpoint's own configuration; what is not declared there
does not exist for the actuator.
"""

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from homeostat.plan import EndProcess, RemoveFile, RestartService, RestoreFile, StartService, Step, StopService
from homeostat_agent.actuator.host import folders, programs
from homeostat_agent.actuator.host.port import (
    Fact,
    FactQuery,
    Facts,
    FolderFacts,
    FolderQuery,
    Missing,
    ProcessesQuery,
    ProgramFacts,
    ServiceQuery,
    StepResult,
)
from homeostat_agent.actuator.host.services import Services
from homeostat_agent.actuator.host.trash import Trash
from homeostat_agent.actuator.port import Clock
from homeostat_agent.config import AgentConfig, Folder

PURGE_PERIOD_S = 600.0


class LinuxHost:
    """This machine; `protected` names processes, such as the decider's, that are never to be ended."""

    def __init__(self, config: AgentConfig, clock: Clock, protected: Callable[[], Collection[int]]) -> None:
        self._services = Services(config.service)
        self._folders = {one.name: one for one in config.folder}
        self._programs = {one.name: one for one in config.program}
        self._clock = clock
        self._protected = protected
        self._trash = Trash(Path(config.actuator.data_dir, "trash"))
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
                return programs.end(self._programs.values(), step, time.monotonic() + within_s, self._protected())
            case RemoveFile(name) | RestoreFile(name):
                folder = self._folders.get(name)
                return (
                    self._run_file(step, folder) if folder else StepResult(ok=False, detail=_undeclared("folder", name))
                )

    def recover(self) -> None:
        """See Host."""
        self._services.recover()

    def tidy(self) -> None:
        """See Host."""
        self._services.reap()
        if self._clock.elapsed() - self._purged_at >= PURGE_PERIOD_S:
            self._purged_at = self._clock.elapsed()
            self._trash.purge(self._clock.now().timestamp())

    def _fact(self, query: FactQuery) -> Fact:
        match query:
            case ServiceQuery():
                return self._services.read(query)
            case ProcessesQuery(name, interval_s):
                program = self._programs.get(name)
                if program is None:
                    return Missing(_undeclared("program", name))
                return ProgramFacts(name, programs.measure(program, interval_s, self._protected()))
            case FolderQuery(name, minimum_age_s):
                folder = self._folders.get(name)
                return self._folder(folder, minimum_age_s) if folder else Missing(_undeclared("folder", name))

    def _folder(self, folder: Folder, minimum_age_s: float | None) -> FolderFacts | Missing:
        before_ns = None if minimum_age_s is None else int((self._clock.now().timestamp() - minimum_age_s) * 1e9)
        own_limit = folder.limit_mib > 0
        found = folders.Contents()
        try:
            used, limit = folders.space(folder)
            if own_limit or before_ns is not None:
                found = folders.contents(folder, before_ns)
        except folders.WalkError as error:
            return Missing(str(error))
        if own_limit:
            used, limit = found.used_bytes, int(folder.limit_mib * (1 << 20))
        can_keep = own_limit and self._trash.serves(folder)
        return FolderFacts(folder.name, used, limit, own_limit, can_keep, found.files, found.listed_all)

    def _run_file(self, step: RemoveFile | RestoreFile, folder: Folder) -> StepResult:
        return self._trash.remove(folder, step) if isinstance(step, RemoveFile) else self._trash.restore(folder, step)


def _undeclared(kind: str, name: str) -> str:
    return f"This endpoint declares no {kind} {name!r}."
