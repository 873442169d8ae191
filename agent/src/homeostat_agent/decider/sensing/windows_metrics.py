"""The endpoint's own numbers by psutil, where there is no /proc.

Invariant: what Windows does not count (pressure, descriptors, zombies, runnable tasks) is left out.
"""

from contextlib import suppress

import psutil

from homeostat_agent.decider.sensing.filesystems import Fullest
from homeostat_agent.decider.sensing.growth import Growth
from homeostat_agent.decider.sensing.metrics import Values


class WindowsMetrics:
    """Reads what psutil offers; keeps the counters of the previous reading."""

    def __init__(self) -> None:
        self._growth = Growth()

    def read(self, elapsed_s: float) -> Values:
        """Return the metrics; `elapsed_s` is the time since the previous reading, 0 on the first."""
        return {**self._processor(), **_memory(), **self._disks(elapsed_s), **self._network(elapsed_s)}

    def _processor(self) -> Values:
        times = psutil.cpu_times()
        # psutil's seconds in ms, so that they can be compared as counters.
        total, idle = (int(one * 1000) for one in (sum(times), times.idle))
        grown = self._growth.of("cpu", (total, idle))
        if grown is None or not grown[0]:
            return {}
        return {"cpu.busy": min(max(100.0 * (1 - grown[1] / grown[0]), 0.0), 100.0)}

    def _disks(self, elapsed_s: float) -> Values:
        counters = psutil.disk_io_counters()
        if counters is None:
            return {}
        grown = self._growth.of("disk", (counters.read_bytes, counters.write_bytes))
        if grown is None or elapsed_s <= 0:
            return {}
        return {"disk.read": grown[0] / elapsed_s, "disk.write": grown[1] / elapsed_s}

    def _network(self, elapsed_s: float) -> Values:
        n = psutil.net_io_counters()
        grown = self._growth.of("network", (n.bytes_recv, n.bytes_sent, n.errin + n.errout + n.dropin + n.dropout))
        if grown is None or elapsed_s <= 0:
            return {}
        names = ("network.received", "network.sent", "network.errors")
        return {name: amount / elapsed_s for name, amount in zip(names, grown, strict=True)}


def fullest() -> Fullest:
    """Return the use of the fullest writable drive; Windows counts no inodes."""
    found = []
    for part in psutil.disk_partitions(all=False):
        if "ro" in part.opts.split(",") or "cdrom" in part.opts.split(","):
            continue
        with suppress(OSError):
            found.append((float(psutil.disk_usage(part.mountpoint).percent), part.mountpoint))
    return Fullest(max(found, default=None))


def _memory() -> Values:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    values: Values = {"memory.available": float(memory.available)}
    if memory.total:
        values["memory.used"] = 100.0 * (memory.total - memory.available) / memory.total
    if swap.total:
        values["swap.used"] = float(swap.percent)
    return values
