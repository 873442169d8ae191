"""Measured numbers, their units and times.

A sample holds only finite numbers: what could not be read is absent, never zero and never NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from types import MappingProxyType

# Metric name → unit. A collector may leave metrics out; it may not invent names.
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "cpu.busy": "percent",
        "cpu.iowait": "percent",
        "load.1m": "runnable tasks per cpu",
        "memory.used": "percent",
        "memory.available": "bytes",
        "swap.used": "percent",
        "psi.cpu.some": "percent",
        "psi.memory.some": "percent",
        "psi.memory.full": "percent",
        "psi.io.some": "percent",
        "psi.io.full": "percent",
        "disk.used.max": "percent",
        "disk.inodes.max": "percent",
        "disk.read": "bytes per second",
        "disk.write": "bytes per second",
        "disk.busy": "percent",
        "network.received": "bytes per second",
        "network.sent": "bytes per second",
        "network.errors": "per second",
        "descriptors.used": "percent",
        "processes.count": "processes",
        "processes.running": "processes",
        "processes.zombie": "processes",
        "processes.started": "per second",
        "clock.step": "seconds",
    }
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the endpoint.

    `at` is aware (UTC); `values` maps names of METRICS to finite numbers in the units given there.
    """

    at: datetime
    values: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = sorted(name for name in self.values if name not in METRICS)
        if unknown:
            raise ValueError(f"not a metric: {', '.join(unknown)}")
        if not all(isfinite(value) for value in self.values.values()):
            raise ValueError("a sample holds finite numbers only; leave out what could not be read")


@dataclass(frozen=True, slots=True)
class Window:
    """The recent samples, oldest first, at most `length_max` of them."""

    length_max: int
    samples: tuple[Sample, ...] = ()

    def __post_init__(self) -> None:
        if self.length_max < 1:
            raise ValueError("a window holds at least one sample")

    def add(self, sample: Sample) -> "Window":
        """Return the window with `sample` as its newest; one that is not newer than the newest starts a new window.

        Time that does not go on means that the clock was set: rates over the seam would be wrong.
        """
        kept = self.samples if not self.samples or sample.at > self.samples[-1].at else ()
        return Window(self.length_max, (*kept, sample)[-self.length_max :])

    @property
    def span(self) -> timedelta:
        """Time from the oldest to the newest sample."""
        return self.samples[-1].at - self.samples[0].at if self.samples else timedelta()
