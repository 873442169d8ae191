"""An endpoint in memory behind the actuator's Host port, held to the same suite as the real one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from fakes.actuator_clock import HandClock
from homeostat.plan import EndProcess, RemoveFile, RestartService, RestoreFile, StartService, Step, StopService
from homeostat_agent.actuator.host.port import (
    CheckResult,
    Fact,
    FactQuery,
    Facts,
    FileFacts,
    FolderFacts,
    FolderQuery,
    Missing,
    Moment,
    ProcessesQuery,
    ProcessFacts,
    ProgramFacts,
    ServiceFacts,
    ServiceQuery,
    ServiceStatus,
    StepResult,
)

BLOCK = 4096


@dataclass(slots=True)
class FakeService:
    """`answers` None: no probe is declared. `comes_up` False: a start fails. `lives` False: it dies at once."""

    pid: int = 0
    started: int = 0
    stopped: bool = False
    check: CheckResult | None = None
    answers: bool | None = None
    comes_up: bool = True
    lives: bool = True
    unreadable: str = ""


@dataclass(slots=True)
class FakeFolder:
    """Files by path below the folder, and what was moved to the trash."""

    limit_bytes: int
    patterns: tuple[str, ...] = ("*",)
    own_limit: bool = True
    files: dict[str, FileFacts] = field(default_factory=dict)
    trash: dict[str, FileFacts] = field(default_factory=dict)


@dataclass(slots=True)
class FakeHost:
    """Steps that were carried out stand in `steps`; `before_step` may raise or change the world first."""

    clock: HandClock = field(default_factory=HandClock)
    services: dict[str, FakeService] = field(default_factory=dict)
    programs: dict[str, dict[int, ProcessFacts]] = field(default_factory=dict)
    folders: dict[str, FakeFolder] = field(default_factory=dict)
    boot: str = "boot-1"
    steps: list[Step] = field(default_factory=list)
    recovered: int = 0
    tidied: int = 0
    before_step: Callable[[Step], StepResult | None] = lambda _step: None
    _last_pid: int = 100

    def read(self, queries: Iterable[FactQuery]) -> Facts:
        return {query: self._fact(query) for query in queries}

    def run(self, step: Step, within_s: float) -> StepResult:
        forced = self.before_step(step)
        self.steps.append(step)
        if forced is not None:
            return forced
        match step:
            case StartService(name) | StopService(name) | RestartService(name):
                service = self.services.get(name)
                return self._run_service(step, service) if service else _not_declared(name)
            case EndProcess():
                return self._end(step)
            case RemoveFile(name) | RestoreFile(name):
                folder = self.folders.get(name)
                return _run_file(step, folder) if folder else _not_declared(name)

    def recover(self) -> None:
        self.recovered += 1

    def tidy(self) -> None:
        self.tidied += 1

    def ticks(self) -> int:
        return int(self.clock.monotonic * 100)

    def spin(self, program: str, cpu_percent: float, protected: str = "") -> ProcessFacts:
        """Let a process of a program run."""
        self._last_pid += 1
        process = ProcessFacts(self._last_pid, self.ticks(), cpu_percent, protected)
        self.programs[program][process.pid] = process
        return process

    def come_up(self, service: FakeService) -> None:
        """Let a new process of a service run."""
        self._last_pid += 1
        service.pid, service.started, service.stopped = self._last_pid, self.ticks(), False

    def _fact(self, query: FactQuery) -> Fact:
        match query:
            case ServiceQuery(name):
                service = self.services.get(name)
                return self._service(query, service) if service else Missing(f"no service {name}")
            case ProcessesQuery(name, interval_s):
                self.clock.forward(interval_s)
                return _program(name, self.programs)
            case FolderQuery(name):
                folder = self.folders.get(name)
                return self._folder(query, folder) if folder else Missing(f"no folder {name}")

    def _service(self, query: ServiceQuery, service: FakeService) -> Fact:
        if service.unreadable:
            return Missing(service.unreadable)
        probed = query.probe and service.answers is not None
        return ServiceFacts(
            query.name,
            ServiceStatus.RUNNING if service.pid else ServiceStatus.DOWN,
            Moment(self.boot, self.ticks()),
            pid=service.pid,
            started=service.started,
            stopped=service.stopped,
            check=service.check if query.check else None,
            probed=probed,
            answers=service.answers if probed and service.pid and not service.stopped else None,
        )

    def _folder(self, query: FolderQuery, folder: FakeFolder) -> Fact:
        files: tuple[FileFacts, ...] = ()
        if query.minimum_age_s is not None:
            before_ns = int((self.clock.now().timestamp() - query.minimum_age_s) * 1e9)
            files = tuple(
                sorted(
                    (one for one in folder.files.values() if one.modified_ns <= before_ns and _matches(one, folder)),
                    key=lambda one: (one.modified_ns, one.path),
                )
            )
        used = sum(one.disk_bytes for one in folder.files.values())
        return FolderFacts(query.name, used, folder.limit_bytes, folder.own_limit, folder.own_limit, files)

    def _run_service(self, step: Step, service: FakeService) -> StepResult:
        if isinstance(step, StartService) and service.pid:
            return StepResult(ok=True, detail=f"already runs as process {service.pid}")
        service.pid = service.started = 0
        if isinstance(step, StopService):
            return StepResult(ok=True, detail="stopped")
        if not service.comes_up:
            return StepResult(ok=False, detail="did not come up")
        self.come_up(service)
        if not service.lives:
            service.pid = service.started = 0
        return StepResult(ok=True, detail="started")

    def _end(self, step: EndProcess) -> StepResult:
        for processes in self.programs.values():
            process = processes.get(step.pid)
            if process is not None and process.started == step.started:
                if process.protected:
                    return StepResult(ok=False, detail=f"process {step.pid} may not be ended")
                del processes[step.pid]
                return StepResult(ok=True, detail="ended")
        return StepResult(ok=True, detail="had ended already")


def _program(name: str, programs: Mapping[str, Mapping[int, ProcessFacts]]) -> Fact:
    if name not in programs:
        return Missing(f"no program {name}")
    return ProgramFacts(name, tuple(programs[name][pid] for pid in sorted(programs[name])))


def _matches(file: FileFacts, folder: FakeFolder) -> bool:
    return any(fnmatchcase(file.path.rpartition("/")[2], pattern) for pattern in folder.patterns)


def _run_file(step: RemoveFile | RestoreFile, folder: FakeFolder) -> StepResult:
    if any(part in {"", ".", ".."} for part in step.path.split("/")):
        return StepResult(ok=False, detail="no path below a folder")
    if isinstance(step, RestoreFile):
        return _restore(step, folder)
    file = folder.files.get(step.path)
    if file is None:
        return StepResult(ok=True, detail="was gone already")
    if not _matches(file, folder):
        return StepResult(ok=False, detail="may not be removed")
    if (file.size_bytes, file.modified_ns) != (step.size_bytes, step.modified_ns):
        return StepResult(ok=True, detail="was left alone")
    if step.keep:
        folder.trash[step.path] = file
    del folder.files[step.path]
    return StepResult(ok=True, detail="removed")


def _restore(step: RestoreFile, folder: FakeFolder) -> StepResult:
    if step.path not in folder.trash:
        return StepResult(ok=True, detail="was not in the trash")
    if step.path in folder.files:
        return StepResult(ok=False, detail="its place has been taken")
    folder.files[step.path] = folder.trash.pop(step.path)
    return StepResult(ok=True, detail="is back")


def _not_declared(name: str) -> StepResult:
    return StepResult(ok=False, detail=f"{name} is not declared")


def file_facts(path: str, kib: int, modified_ns: int) -> FileFacts:
    """Return a file that takes whole blocks."""
    size = kib * 1024
    return FileFacts(path, size, -(-size // BLOCK) * BLOCK, modified_ns)


def changed(file: FileFacts, size_bytes: int) -> FileFacts:
    """Return a file after somebody wrote to it."""
    return replace(file, size_bytes=size_bytes, modified_ns=file.modified_ns + 1)
