"""Windows behind the decider's port, by psutil.

Invariant: the same as on Linux: what may block is bounded or done elsewhere, and all processes are looked at only when
the machine stirs or at every sixth sample. One thread owns a WindowsHost.
"""

import os
import platform
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psutil

from homeostat.sample import METRICS, Sample
from homeostat_agent.boot_clock import since_boot_s
from homeostat_agent.config import AgentConfig, Program
from homeostat_agent.decider.sensing.facts import id_digest
from homeostat_agent.decider.sensing.folders import Folders
from homeostat_agent.decider.sensing.metrics import ClockSteps
from homeostat_agent.decider.sensing.port import ProcessReading, Reading, ServiceReading
from homeostat_agent.decider.sensing.probes import Probes
from homeostat_agent.decider.sensing.scan_rule import ScanRule
from homeostat_agent.decider.sensing.services import with_answer
from homeostat_agent.decider.sensing.windows_metrics import WindowsMetrics, fullest
from homeostat_agent.decider.sensing.windows_services import ServiceOf, read_service, started, windows_service
from homeostat_agent.program_matching import Identity, pattern

# Windows computes the time of boot from a clock that is corrected now and then.
BOOT_TIME_STEP_S = 60
KNOWN_MAX = 1024


class WindowsHost:
    """The machine under care. `now` gives the wall clock, `service_of` asks the service control manager."""

    def __init__(
        self, config: AgentConfig, now: Callable[[], datetime], *, service_of: ServiceOf = windows_service
    ) -> None:
        self._now = now
        self._service_of = service_of
        self._services = {one.name: one for one in config.service}
        self._metrics = WindowsMetrics()
        self._clock = ClockSteps()
        self._scan_rule = ScanRule()
        self._programs = Programs(config.program)
        self._probes = Probes()
        self._folders = Folders(config.folder)
        self._read_at: float | None = None

    def read(self) -> Reading:
        """Take one reading of everything; what cannot be read is left out, never made up."""
        at, began = self._now(), since_boot_s()
        elapsed_s = 0.0 if self._read_at is None else began - self._read_at
        self._read_at = began
        values = self._metrics.read(elapsed_s)
        self._programs.refresh(full=self._scan_rule.wants_scan(values))
        values["processes.count"] = float(len(psutil.pids()))
        step, full = self._clock.step_s(), fullest()
        values |= {"clock.step": step} if step is not None else {}
        values |= {"disk.used.max": full.disk[0]} if full.disk else {}
        return Reading(
            Sample(at, {name: values[name] for name in METRICS if name in values}),
            tuple(self.service(name) for name in self._services),
            self._programs.readings(),
            self._folders.read(),
            full.disk[1] if full.disk else "",
        )

    def service(self, name: str) -> ServiceReading:
        """Read one declared service at once; KeyError for a name that is not declared."""
        service = self._services[name]
        return with_answer(read_service(service, self._service_of), service.probe, self._probes)

    def boot_id(self) -> str:
        """Return what changes with every boot of the machine."""
        counted = _registry(
            r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters", "BootId"
        )
        return f"boot-{counted or round(psutil.boot_time() / BOOT_TIME_STEP_S)}"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return what the machine is, as names and values for enrolment and inventory."""
        found = (
            ("hostname", platform.node()),
            ("os", platform.system()),
            ("os_version", platform.version()),
            ("architecture", platform.machine()),
            ("machine_id_digest", id_digest(_registry(r"SOFTWARE\Microsoft\Cryptography", "MachineGuid"))),
            ("cpus", str(psutil.cpu_count() or "")),
            ("memory_bytes", str(psutil.virtual_memory().total)),
        )
        return tuple((name, value) for name, value in found if value)

    def close(self) -> None:
        """Let the probes' threads end."""
        self._probes.close()


class Programs:
    """The processes of declared programs; between full scans only those already known are read."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._patterns = tuple(pattern(one) for one in programs)
        self._known: dict[int, tuple[psutil.Process, str]] = {}
        self._used: dict[int, tuple[float, float]] = {}
        self._readings: tuple[ProcessReading, ...] = ()

    def refresh(self, *, full: bool) -> None:
        """Read the known processes again; with `full` look at all of them for more."""
        if full and self._patterns:
            self._scan()
        readings = [self._read(process, program) for process, program in list(self._known.values())]
        self._readings = tuple(one for one in readings if one is not None)

    def readings(self) -> tuple[ProcessReading, ...]:
        """Return what the last refresh read."""
        return self._readings

    def _scan(self) -> None:
        for process in psutil.process_iter(["exe", "cmdline"]):
            runs = Identity(process.info["exe"] or "", tuple(process.info["cmdline"] or ()))
            named = [one.name for one in self._patterns if one.matches(runs)]
            if named and process.pid not in self._known and len(self._known) < KNOWN_MAX:
                self._known[process.pid] = (process, named[0])

    def _read(self, process: psutil.Process, program: str) -> ProcessReading | None:
        pid = process.pid
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(pid)
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            self._known.pop(pid, None)
            self._used.pop(pid, None)
            return None
        used_s, at = times.user + times.system, since_boot_s()
        before_s, before_at = self._used.get(pid, (0.0, at))
        self._used[pid] = (used_s, at)
        percent = 100.0 * (used_s - before_s) / (at - before_at) if at > before_at else None
        return ProcessReading(program, pid, started(process), percent, memory)


def _registry(key: str, name: str) -> str:
    """Return a value of the machine's registry as text, or "" where there is none."""
    if os.name != "nt":
        return ""
    import winreg  # noqa: PLC0415  # exists on Windows only

    registry: Any = winreg
    try:
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, key) as opened:
            return str(registry.QueryValueEx(opened, name)[0])
    except OSError:
        return ""
