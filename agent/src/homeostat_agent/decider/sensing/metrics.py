"""The endpoint's own numbers from /proc: cpu, memory, pressure, processes, descriptors and the clock.

Invariant: what the kernel does not tell is left out. Rates are over the time since the previous reading.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from homeostat_agent.boot_clock import wall_ahead_ns
from homeostat_agent.decider.sensing.growth import Growth
from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.procfs import PROC

PRESSURES = {"cpu": ("some",), "memory": ("some", "full"), "io": ("some", "full")}

Values = dict[str, float]


class HostMetrics:
    """Reads everything that one machine-wide file answers; keeps the counters of the previous reading."""

    def __init__(self, proc: Path = PROC) -> None:
        self._growth = Growth()
        self._stat = KeptFile(proc / "stat")
        self._load = KeptFile(proc / "loadavg")
        self._memory = KeptFile(proc / "meminfo")
        self._descriptors = KeptFile(proc / "sys/fs/file-nr")
        self._pressure = {name: KeptFile(proc / "pressure" / name) for name in PRESSURES}
        self._cpus = os.cpu_count() or 1

    def read(self, elapsed_s: float) -> Values:
        """Return the metrics; `elapsed_s` is the time since the previous reading, 0 on the first."""
        values: Values = {}
        for part in (self._processor(elapsed_s), self._load_average(), self._memory_use(), self._descriptor_use()):
            values.update(part)
        values.update(self._pressures(elapsed_s))
        return values

    def close(self) -> None:
        """Give all descriptors back."""
        for file in (self._stat, self._load, self._memory, self._descriptors, *self._pressure.values()):
            file.close()

    def _processor(self, elapsed_s: float) -> Values:
        raw = self._stat.read()
        values: Values = {}
        with suppress(ValueError, IndexError):
            values.update(self._cpu_shares([int(one) for one in raw[: raw.index(b"\n")].split()[1:9]]))
            running = _field(raw, b"\nprocs_running ")
            values["processes.running"] = float(running)
            started = self._growth.of("started", (_field(raw, b"\nprocesses "),))
            if started is not None and elapsed_s > 0:
                values["processes.started"] = started[0] / elapsed_s
        return values

    def _cpu_shares(self, times: list[int]) -> Values:
        total, idle, waiting = sum(times), times[3], times[4]
        grown = self._growth.of("cpu", (total,))
        shares = self._growth.of("idle", (idle,)), self._growth.of("iowait", (waiting,))
        if grown is None or not grown[0]:
            return {}
        # Idle and waiting time may go back by a tick or two while the whole goes on: that is no growth, not a reset.
        calm, wait = (one[0] if one else 0 for one in shares)
        busy = 100.0 * (1 - (calm + wait) / grown[0])
        return {"cpu.busy": min(max(busy, 0.0), 100.0), "cpu.iowait": min(100.0 * wait / grown[0], 100.0)}

    def _load_average(self) -> Values:
        try:
            return {"load.1m": float(self._load.read().split(None, 1)[0]) / self._cpus}
        except (ValueError, IndexError):
            return {}

    def _memory_use(self) -> Values:
        raw = b"\n" + self._memory.read()
        values: Values = {}
        with suppress(ValueError):
            total, available = _field(raw, b"\nMemTotal:"), _field(raw, b"\nMemAvailable:")
            values["memory.used"] = 100.0 * (total - available) / total
            values["memory.available"] = available * 1024.0
        with suppress(ValueError, ZeroDivisionError):  # no swap: no share of it either
            total = _field(raw, b"\nSwapTotal:")
            values["swap.used"] = 100.0 * (total - _field(raw, b"\nSwapFree:")) / total
        return values

    def _descriptor_use(self) -> Values:
        try:
            used, _, most = self._descriptors.read().split()
            return {"descriptors.used": 100.0 * int(used) / int(most)}
        except (ValueError, ZeroDivisionError):
            return {}

    def _pressures(self, elapsed_s: float) -> Values:
        values: Values = {}
        for name, file in self._pressure.items():
            for kind, total in _stalls(file.read()):
                grown = self._growth.of(f"psi.{name}.{kind}", (total,))
                if grown is not None and elapsed_s > 0 and kind in PRESSURES[name]:
                    values[f"psi.{name}.{kind}"] = min(grown[0] / (elapsed_s * 10_000), 100.0)
        return values


class ClockSteps:
    """Tells a clock that was set from one that runs."""

    def __init__(self) -> None:
        self._ahead_ns: int | None = None

    def step_s(self) -> float | None:
        """Return by how many seconds the wall clock moved against the time since boot; None on the first call."""
        ahead = wall_ahead_ns()
        before, self._ahead_ns = self._ahead_ns, ahead
        return None if before is None else (ahead - before) / 1e9


def _field(raw: bytes, name: bytes) -> int:
    """Return the number behind `name`; ValueError where it is missing."""
    start = raw.index(name) + len(name)
    return int(raw[start : start + 32].split(None, 1)[0])


def _stalls(raw: bytes) -> Iterator[tuple[str, int]]:
    """Yield kind and total stall time in microseconds of each line of a pressure file."""
    for line in raw.splitlines():
        kind, _, rest = line.partition(b" ")
        _, _, total = rest.rpartition(b"total=")
        if total.isdigit():
            yield kind.decode("ascii", "replace"), int(total)
