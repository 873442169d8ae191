"""Why an incident was opened: direct signals, and what the model said.

A signal needs no model and can authorise a repair. An anomaly alone never does: it is shown, attributed and left alone.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.subject import Subject


class SignalKind(StrEnum):
    """Each kind of direct evidence."""

    SERVICE_EXITED = "service-exited"
    SERVICE_FAILED = "service-failed"
    PROBE_FAILED = "probe-failed"
    NO_PROGRESS = "no-progress"
    MEMORY_OVER_LIMIT = "memory-over-limit"
    MEMORY_GROWING = "memory-growing"
    CPU_RUNAWAY = "cpu-runaway"
    DISK_OVER_LIMIT = "disk-over-limit"
    INODES_OVER_LIMIT = "inodes-over-limit"
    DESCRIPTORS_OVER_LIMIT = "descriptors-over-limit"
    FILE_CHANGED = "file-changed"
    FILE_MISSING = "file-missing"
    FILE_INVALID = "file-invalid"
    MEMORY_PRESSURE = "memory-pressure"
    CLOCK_STEPPED = "clock-stepped"


@dataclass(frozen=True, slots=True)
class Signal:
    """One direct observation; `value` was held against `limit`, both in `unit` (equal where there is no number)."""

    kind: SignalKind
    subject: Subject
    at: datetime
    value: float = 1.0
    limit: float = 1.0
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The part (0 to 1) of an anomaly score that one feature accounts for, with its value and what is usual."""

    feature: str
    share: float
    value: float
    usual: float


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What the model says of one sample.

    `score` is 0 to 1; `p_value` is the share of normal samples at least as unusual as this one.
    """

    score: float
    p_value: float
    attributions: tuple[Attribution, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything an incident rests on."""

    signals: tuple[Signal, ...] = ()
    anomaly: Anomaly | None = None
