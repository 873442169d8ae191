"""Host: the actuator's only door to the operating system. Facts are read the moment they are needed; steps are typed.

Linux and Windows stand behind it, and a fake for tests; all are held to tests/contracts/test_actuator_host.py. What
cannot be read is Missing with a sentence, never a made-up value; a step that fails is a result, never an exception.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from homeostat.plan import Step


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """One declared service; `check` runs its configuration test, `probe` asks whether it answers."""

    name: str
    check: bool = False
    probe: bool = False


@dataclass(frozen=True, slots=True)
class ProcessesQuery:
    """The processes of one declared program; their CPU use is measured over `interval_s` seconds."""

    program: str
    interval_s: float


@dataclass(frozen=True, slots=True)
class FolderQuery:
    """One declared folder; `minimum_age_s` given: with the files that may be removed and are at least that old."""

    name: str
    minimum_age_s: float | None = None


FactQuery = ServiceQuery | ProcessesQuery | FolderQuery


class ServiceStatus(StrEnum):
    """What is known of a service's process; UNKNOWN also while it starts or stops."""

    RUNNING = "running"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in a machine's life: clock ticks since one particular boot."""

    boot: str
    ticks: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How a service's configuration test ended, with the first line of what it said."""

    passed: bool
    said: str = ""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """One declared service, read `at` a moment.

    `pid` and `started` (clock ticks since boot) are 0 unless it is RUNNING. `stopped`: its main process is stopped by a
    signal. `check` is None where none was asked for or declared. `answers` is None where there was no probe,
    or, with `probed`, where the probe could not be carried out. `restarts_itself`: a service manager may start it.
    """

    name: str
    status: ServiceStatus
    at: Moment
    pid: int = 0
    started: int = 0
    stopped: bool = False
    check: CheckResult | None = None
    probed: bool = False
    answers: bool | None = None
    restarts_itself: bool = False


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process: `started` in clock ticks since boot, `cpu_percent` of one cpu.

    `protected` is why it may never be ended, or empty.
    """

    pid: int
    started: int
    cpu_percent: float
    protected: str = ""


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """All processes of one declared program, by pid."""

    program: str
    processes: tuple[ProcessFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file that may be removed: its path below the folder, its length, and what it takes on the disk."""

    path: str
    size_bytes: int
    disk_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """One declared folder.

    `own_limit`: `used_bytes` and `limit_bytes` are the folder's own, otherwise its file system's. `can_keep`: files
    can be moved to a trash outside the folder. `files` are the removable ones, oldest first; `listed_all` says that
    none was left out for their number.
    """

    name: str
    used_bytes: int
    limit_bytes: int
    own_limit: bool
    can_keep: bool = False
    files: tuple[FileFacts, ...] = ()
    listed_all: bool = True

    @property
    def used_percent(self) -> float:
        """Use in percent of the limit."""
        return 100.0 * self.used_bytes / self.limit_bytes if self.limit_bytes else 100.0


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that could not be read, and why, as a sentence."""

    reason: str


Fact = ServiceFacts | ProgramFacts | FolderFacts | Missing
Facts = Mapping[FactQuery, Fact]


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended; `detail` says what was done, or why not."""

    ok: bool
    detail: str = ""


class Host(Protocol):
    """The machine under care, as the actuator may see and change it."""

    def read(self, queries: Iterable[FactQuery]) -> Facts:
        """Read facts now; every query has its entry, Missing where there is no answer."""

    def run(self, step: Step, within_s: float) -> StepResult:
        """Carry out one step, within `within_s` seconds and the step's own bound.

        What a step names but the endpoint's configuration does not declare is refused. A step whose effect is there
        already succeeds and changes nothing, except that RestartService always ends in a new process.
        """

    def recover(self) -> None:
        """After a cut-off: complete what a step left half recorded, such as a started process without a pid file."""

    def tidy(self) -> None:
        """Take away ended children and what has outlived its time in the trash. Called between runs only."""
