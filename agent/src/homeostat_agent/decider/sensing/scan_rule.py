"""When to look at every process of the machine.

Invariant: a scan comes at least at every SCAN_EVERY-th sample, and at once when the machine stirs; otherwise the
processes already known are enough, at a twentieth of the cost.
"""

import os

from homeostat_agent.decider.sensing.metrics import Values

SCAN_EVERY = 6
# A process that runs away uses about one cpu; half of one above what is usual here is worth a look.
BUSY_CPUS_ABOVE_USUAL = 0.5
# Weight of the newest sample in what is usual: about the last minute at a period of 5 s.
NEWEST_WEIGHT = 0.1
# Shares of time, in percent, in which something waited. Quiet machines stay below all of them; only rising above one
# counts, since a machine that is always under pressure must not be scanned all the time.
PRESSURE_FLOORS = {"psi.cpu.some": 20.0, "psi.memory.some": 5.0, "psi.io.full": 20.0}


class ScanRule:
    """Counts samples since the last scan and knows what is usual."""

    def __init__(self, cpus: int = 0) -> None:
        self._cpus = cpus or os.cpu_count() or 1
        self._samples = 0
        self._usual_cpus: float | None = None
        self._pressed: frozenset[str] = frozenset()

    def wants_scan(self, values: Values) -> bool:
        """Take in one sample's metrics; say whether this sample needs a full scan."""
        stirred = self._busier_than_usual(values.get("cpu.busy"))
        stirred |= self._pressed_anew(values)
        due = self._samples % SCAN_EVERY == 0
        self._samples = 1 if due or stirred else self._samples + 1
        return due or stirred

    def _pressed_anew(self, values: Values) -> bool:
        before = self._pressed
        self._pressed = frozenset(name for name, floor in PRESSURE_FLOORS.items() if values.get(name, 0.0) >= floor)
        return not self._pressed <= before

    def _busier_than_usual(self, busy_percent: float | None) -> bool:
        if busy_percent is None:
            return False
        busy = self._cpus * busy_percent / 100.0
        usual = busy if self._usual_cpus is None else self._usual_cpus
        self._usual_cpus = usual + NEWEST_WEIGHT * (busy - usual)
        return busy - usual >= BUSY_CPUS_ABOVE_USUAL
