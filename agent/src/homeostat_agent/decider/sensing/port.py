"""Host: the decider's only door to the operating system. It reads, and changes nothing.

Linux and Windows stand behind it, and a fake for the journeys; all are held to tests/contracts/test_host.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from homeostat.sample import Sample


class ServiceStatus(StrEnum):
    """What is known of a service's process."""

    RUNNING = "running"
    DOWN = "down"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ServiceReading:
    """One declared service now. `pid` is 0 unless RUNNING.

    `stopped` says that its main process is stopped by a signal (a traced one is not: a person is looking at it);
    `memory_bytes` and `cpu_s` are of the whole group. `answers` is None where no probe is declared or this process has
    not been asked yet; `answer_detail` says what the probe saw and `answer_age_s` how many seconds ago.
    """

    name: str
    status: ServiceStatus
    pid: int = 0
    started: int = 0
    stopped: bool = False
    memory_bytes: int = 0
    cpu_s: float = 0.0
    answers: bool | None = None
    answer_detail: str = ""
    answer_age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process of a declared program; `cpu_percent` of one cpu since the last reading, None on the first."""

    program: str
    pid: int
    started: int
    cpu_percent: float | None
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class FolderReading:
    """Use of a declared folder against its limit or its file system, in percent; `files` counts what was looked at."""

    name: str
    used_percent: float
    used_bytes: int
    limit_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything of one period.

    `disk_fullest` and `inodes_fullest` are the mount points that disk.used.max and disk.inodes.max were measured at.
    """

    sample: Sample
    services: tuple[ServiceReading, ...] = ()
    processes: tuple[ProcessReading, ...] = ()
    folders: tuple[FolderReading, ...] = ()
    disk_fullest: str = ""
    inodes_fullest: str = ""


class Host(Protocol):
    """The machine under care, as the decider may see it."""

    def read(self) -> Reading:
        """Take one reading of everything; what cannot be read is left out, never made up."""

    def service(self, name: str) -> ServiceReading:
        """Read one declared service at once; KeyError for a name that is not declared."""

    def boot_id(self) -> str:
        """Return what changes with every boot of the machine."""

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return what the machine is, as names and values for enrolment and inventory."""
