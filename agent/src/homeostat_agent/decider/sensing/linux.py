"""Linux behind the decider's port: /proc by kept descriptors, units by systemd, process groups by their pid files.

Invariant: one reading costs a few milliseconds whatever the endpoint's services do; whatever may block (a probe, a
large folder, a service manager in trouble) is bounded or done elsewhere. One thread owns a LinuxHost.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from homeostat.sample import METRICS, Sample
from homeostat_agent.boot_clock import since_boot_s
from homeostat_agent.config import AgentConfig, Service
from homeostat_agent.decider.sensing.cgroups import Cgroups
from homeostat_agent.decider.sensing.devices import Devices
from homeostat_agent.decider.sensing.facts import boot_id, linux_facts
from homeostat_agent.decider.sensing.filesystems import FileSystems
from homeostat_agent.decider.sensing.folders import Folders
from homeostat_agent.decider.sensing.metrics import ClockSteps, HostMetrics, Values
from homeostat_agent.decider.sensing.port import Reading, ServiceReading
from homeostat_agent.decider.sensing.probes import Probes
from homeostat_agent.decider.sensing.processes import ProcessTable
from homeostat_agent.decider.sensing.scan_rule import ScanRule
from homeostat_agent.decider.sensing.services import Groups, Units, with_answer
from homeostat_agent.procfs import PROC


class LinuxHost:
    """The machine under care. `now` gives the wall clock, `bus` is the D-Bus systemd is on: SYSTEM or an address."""

    def __init__(
        self, config: AgentConfig, now: Callable[[], datetime], *, bus: str = "SYSTEM", proc: Path = PROC
    ) -> None:
        self._now = now
        self._proc = proc
        self._services = {one.name: one for one in config.service}
        self._metrics = HostMetrics(proc)
        self._devices = Devices(proc)
        self._file_systems = FileSystems(proc)
        self._clock = ClockSteps()
        self._scan_rule = ScanRule()
        self._table = ProcessTable(config.program, proc)
        self._groups = Groups(config.service, self._table, proc)
        self._units = _units(config.service, bus, proc)
        self._probes = Probes()
        self._folders = Folders(config.folder)
        self._read_at: float | None = None

    def read(self) -> Reading:
        """Take one reading of everything; what cannot be read is left out, never made up."""
        at, began = self._now(), since_boot_s()
        elapsed_s = 0.0 if self._read_at is None else began - self._read_at
        self._read_at = began
        values = self._metrics.read(elapsed_s) | self._devices.read(elapsed_s)
        self._table.refresh(self._groups.leaders(), full=self._scan_rule.wants_scan(values))
        fullest = self._file_systems.fullest()
        values |= _present(
            {
                "clock.step": self._clock.step_s(),
                "disk.used.max": fullest.disk[0] if fullest.disk else None,
                "disk.inodes.max": fullest.inodes[0] if fullest.inodes else None,
                "processes.count": float(self._table.count),
                "processes.zombie": None if self._table.zombies is None else float(self._table.zombies),
            }
        )
        if self._units:
            self._units.refresh()
        return Reading(
            Sample(at, {name: values[name] for name in METRICS if name in values}),
            tuple(self._service(one) for one in self._services.values()),
            self._table.readings(),
            self._folders.read(),
            fullest.disk[1] if fullest.disk else "",
            fullest.inodes[1] if fullest.inodes else "",
        )

    def service(self, name: str) -> ServiceReading:
        """Read one declared service at once; KeyError for a name that is not declared."""
        return self._service(self._services[name], at_once=True)

    def boot_id(self) -> str:
        """Return what changes with every boot of the machine."""
        return boot_id(self._proc)

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return what the machine is, as names and values for enrolment and inventory."""
        return linux_facts(self._proc)

    def close(self) -> None:
        """Give all descriptors, threads and connections back."""
        for part in (self._metrics, self._devices, self._file_systems, self._table, self._probes):
            part.close()
        if self._units:
            self._units.close()

    def _service(self, service: Service, *, at_once: bool = False) -> ServiceReading:
        if service.unit and self._units:
            reading = self._units.read(service, at_once=at_once)
        else:
            reading = self._groups.read(service)
        return with_answer(reading, service.probe, self._probes)


def _units(services: Sequence[Service], bus: str, proc: Path) -> Units | None:
    """Return the units' reader; without declared units neither D-Bus nor control groups are loaded."""
    if not any(one.unit for one in services):
        return None
    from homeostat_agent.decider.sensing.systemd import Systemd  # noqa: PLC0415  # jeepney costs 3 MB

    return Units(services, Systemd(bus), Cgroups(proc), proc)


def _present(values: dict[str, float | None]) -> Values:
    return {name: value for name, value in values.items() if value is not None}
