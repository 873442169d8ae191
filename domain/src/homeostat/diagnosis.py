"""From direct evidence to ranked fault classes.

Rules come first and are a table: a signal kind names the fault it speaks for and how sure it is alone. Several signals
for one fault on one subject strengthen it as independent witnesses do: 1 - Π(1 - confidence).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType

from homeostat.evidence import Signal, SignalKind
from homeostat.subject import Subject


class FaultClass(StrEnum):
    """What can be wrong with a subject."""

    SERVICE_DOWN = "service-down"
    SERVICE_HUNG = "service-hung"
    MEMORY_LEAK = "memory-leak"
    RUNAWAY_CPU = "runaway-cpu"
    DISK_FULL = "disk-full"
    INODES_EXHAUSTED = "inodes-exhausted"
    DESCRIPTORS_EXHAUSTED = "descriptors-exhausted"
    MEMORY_PRESSURE = "memory-pressure"
    CONFIG_BROKEN = "config-broken"
    CONFIG_CHANGED = "config-changed"
    CLOCK_STEPPED = "clock-stepped"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Witness:
    """The fault that a signal speaks for, how sure it is alone, and in how many samples it must persist to count."""

    fault: FaultClass
    confidence: float
    samples_least: int


# Confidences are stated by construction, not learnt: 1.0 is a fact read from the kernel or the service manager. The
# detection work replaces those below 1.0 with measured reliabilities.
WITNESSES: Mapping[SignalKind, Witness] = MappingProxyType(
    {
        SignalKind.SERVICE_EXITED: Witness(FaultClass.SERVICE_DOWN, 1.0, 1),
        SignalKind.SERVICE_FAILED: Witness(FaultClass.SERVICE_DOWN, 1.0, 1),
        SignalKind.PROBE_FAILED: Witness(FaultClass.SERVICE_HUNG, 0.8, 2),
        SignalKind.NO_PROGRESS: Witness(FaultClass.SERVICE_HUNG, 0.9, 1),
        SignalKind.MEMORY_OVER_LIMIT: Witness(FaultClass.MEMORY_LEAK, 0.95, 2),
        SignalKind.MEMORY_GROWING: Witness(FaultClass.MEMORY_LEAK, 0.6, 3),
        SignalKind.CPU_RUNAWAY: Witness(FaultClass.RUNAWAY_CPU, 0.95, 3),
        SignalKind.DISK_OVER_LIMIT: Witness(FaultClass.DISK_FULL, 1.0, 1),
        SignalKind.INODES_OVER_LIMIT: Witness(FaultClass.INODES_EXHAUSTED, 1.0, 1),
        SignalKind.DESCRIPTORS_OVER_LIMIT: Witness(FaultClass.DESCRIPTORS_EXHAUSTED, 1.0, 2),
        SignalKind.MEMORY_PRESSURE: Witness(FaultClass.MEMORY_PRESSURE, 0.9, 3),
        SignalKind.FILE_CHANGED: Witness(FaultClass.CONFIG_CHANGED, 1.0, 1),
        SignalKind.FILE_MISSING: Witness(FaultClass.CONFIG_BROKEN, 1.0, 1),
        SignalKind.FILE_INVALID: Witness(FaultClass.CONFIG_BROKEN, 1.0, 1),
        SignalKind.CLOCK_STEPPED: Witness(FaultClass.CLOCK_STEPPED, 1.0, 1),
    }
)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One fault on one subject, with the signals that speak for it and a confidence from 0 to 1."""

    fault: FaultClass
    subject: Subject
    confidence: float
    signals: tuple[Signal, ...]

    @property
    def samples_least(self) -> int:
        """In how many consecutive samples the hypothesis must hold before an incident opens."""
        return min(WITNESSES[signal.kind].samples_least for signal in self.signals)


def rank(signals: Iterable[Signal]) -> tuple[Hypothesis, ...]:
    """Return one hypothesis per fault and subject, the surest first, equal ones by name."""
    ordered = sorted(signals, key=_key)
    found = [_hypothesis(tuple(group)) for _, group in groupby(ordered, key=_key)]
    return tuple(sorted(found, key=lambda one: (-one.confidence, one.fault, one.subject)))


def _key(signal: Signal) -> tuple[FaultClass, Subject]:
    return WITNESSES[signal.kind].fault, signal.subject


def _hypothesis(signals: tuple[Signal, ...]) -> Hypothesis:
    fault, subject = _key(signals[0])
    doubt = 1.0
    for kind in sorted({signal.kind for signal in signals}):  # in one order everywhere: a float product depends on it
        doubt *= 1.0 - WITNESSES[kind].confidence
    return Hypothesis(fault, subject, 1.0 - doubt, signals)
