"""The closed list of repairs that exist, and what each is.

A policy can only name what stands here; the actuator's ACTIONS has one entry for each, which a test asserts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from homeostat.subject import SubjectKind


class Risk(IntEnum):
    """How much a repair can hurt when it is wrong."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def word(self) -> str:
        """The risk as people write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number an action takes, with its unit and bounds; every parameter has a default."""

    name: str
    unit: str
    default: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One kind of repair."""

    name: str
    summary: str
    subject_kind: SubjectKind
    risk: Risk
    undo: str
    verifier: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifierSpec:
    """One way to tell from fresh facts whether a subject is well."""

    name: str
    summary: str
    subject_kind: SubjectKind


ACTIONS: Mapping[str, ActionSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            ActionSpec(
                "restart_service",
                "Restart a declared service.",
                SubjectKind.SERVICE,
                Risk.MEDIUM,
                "A restart cannot be undone; a service that was stopped before is stopped again.",
                "service_healthy",
            ),
            ActionSpec(
                "stop_process",
                "End a declared program's process that has run away.",
                SubjectKind.PROCESS,
                Risk.MEDIUM,
                "An ended process cannot be brought back.",
                "process_calm",
                (Parameter("grace", "seconds", 5.0, 0.0, 60.0),),
            ),
            ActionSpec(
                "free_disk_space",
                "Move old files of a declared folder to the trash until it is below its limit.",
                SubjectKind.FOLDER,
                Risk.LOW,
                "The files come back from the trash.",
                "folder_below_limit",
                (
                    Parameter("target", "percent of the limit", 80.0, 1.0, 99.0),
                    Parameter("minimum_age", "seconds", 60.0, 0.0, 31_536_000.0),
                ),
            ),
        )
    }
)

VERIFIERS: Mapping[str, VerifierSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            VerifierSpec(
                "service_healthy",
                "The service runs in a process that started after the repair began, and answers its probe.",
                SubjectKind.SERVICE,
            ),
            VerifierSpec("process_calm", "No process of the program exceeds its CPU limit.", SubjectKind.PROCESS),
            VerifierSpec("folder_below_limit", "The folder's use is below its limit.", SubjectKind.FOLDER),
        )
    }
)


@dataclass(frozen=True, slots=True)
class ThresholdSpec:
    """A number of the agent's detection that a policy may set, within hard bounds."""

    name: str
    unit: str
    default: float
    least: float
    most: float


THRESHOLDS: Mapping[str, ThresholdSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            ThresholdSpec("alarm_p_value", "share of normal samples", 1e-4, 1e-9, 0.05),
            ThresholdSpec("disk_used_percent", "percent", 90.0, 50.0, 99.5),
            ThresholdSpec("inodes_used_percent", "percent", 90.0, 50.0, 99.5),
            ThresholdSpec("descriptors_used_percent", "percent", 90.0, 50.0, 99.5),
            ThresholdSpec("memory_limit_percent", "percent of a service's limit", 100.0, 50.0, 400.0),
            ThresholdSpec("cpu_runaway_percent", "percent of one cpu", 90.0, 10.0, 100.0),
            ThresholdSpec("memory_pressure_percent", "percent of time, PSI full", 20.0, 1.0, 100.0),
            ThresholdSpec("clock_step_seconds", "seconds", 2.0, 0.1, 3600.0),
        )
    }
)
