"""Declared services, be they systemd units or process groups: one way to read them and to run a step on them."""

from collections.abc import Iterable
from types import ModuleType

from homeostat.plan import RestartService, StartService, StopService
from homeostat_agent import probing
from homeostat_agent.actuator.host import commands, process_table
from homeostat_agent.actuator.host.groups import Groups
from homeostat_agent.actuator.host.port import Missing, ServiceFacts, ServiceQuery, ServiceStatus, StepResult
from homeostat_agent.config import Service
from homeostat_agent.procfs import ProcessStat

# What systemd itself gives a unit to stop or to start, if its file says nothing else.
STEP_S_MAX = 90.0
PROBE_S_MAX = 10.0

ServiceStep = StartService | StopService | RestartService


class Services:
    """The services that the endpoint's configuration declares; no other exists here."""

    def __init__(self, declared: Iterable[Service]) -> None:
        self._declared = {one.name: one for one in declared}
        self._groups = Groups()

    def read(self, query: ServiceQuery) -> ServiceFacts | Missing:
        """Return a service's facts, or why there are none."""
        service = self._declared.get(query.name)
        if service is None:
            return Missing(_undeclared(query.name))
        state = _unit_state(service.unit) if service.unit else self._group_state(service)
        return state if isinstance(state, Missing) else _facts(service, query, *state)

    def run(self, step: ServiceStep, within_s: float) -> StepResult:
        """Start, stop or restart a service and wait until that is done."""
        service = self._declared.get(step.service)
        if service is None:
            return StepResult(ok=False, detail=_undeclared(step.service))
        within_s = min(within_s, STEP_S_MAX)
        if service.unit:
            return _run_unit(step, service.unit, within_s)
        state = self._group_state(service)
        if isinstance(state, Missing):
            return StepResult(ok=False, detail=state.reason)
        match step:
            case StartService():
                return self._groups.start(service, within_s)
            case StopService():
                return self._groups.stop(service, within_s)
            case RestartService():
                return self._groups.restart(service, within_s)

    def recover(self) -> None:
        """Find services that were started by an actuator which was cut off before it could write their pid files."""
        self._groups.adopt([one for one in self._declared.values() if one.command])

    def reap(self) -> None:
        """Take away ended children."""
        self._groups.reap()

    def _group_state(self, service: Service) -> tuple[ServiceStatus, ProcessStat | None] | Missing:
        try:
            process = self._groups.find(service)
        except OSError as error:
            return Missing(f"{service.pid_file} cannot be read: {error.strerror}.")
        return (ServiceStatus.RUNNING if process else ServiceStatus.DOWN), process


def _facts(service: Service, query: ServiceQuery, status: ServiceStatus, process: ProcessStat | None) -> ServiceFacts:
    probe = service.probe
    probed = query.probe and bool(probe.tcp or probe.http)
    return ServiceFacts(
        service.name,
        status,
        process_table.this_moment(),
        pid=process.pid if process else 0,
        started=process.started if process else 0,
        stopped=process is not None and process.stopped,
        check=commands.run_check(service.check, service.working_dir) if query.check and service.check else None,
        probed=probed,
        answers=probing.ask(probe, PROBE_S_MAX).answers if probed and process else None,
        restarts_itself=bool(service.unit),
    )


def _units() -> ModuleType:
    # jeepney is loaded where a systemd unit is declared, and only there.
    from homeostat_agent.actuator.host import units  # noqa: PLC0415  # loaded only where it is used

    return units


def _unit_state(unit: str) -> tuple[ServiceStatus, ProcessStat | None] | Missing:
    state = _units().read(unit)
    if isinstance(state, Missing):
        return state
    if state.status is not ServiceStatus.RUNNING:
        return state.status, None
    process = process_table.process(state.main_pid)
    # It may have ended since systemd was asked.
    return (ServiceStatus.RUNNING if process else ServiceStatus.UNKNOWN), process


def _run_unit(step: ServiceStep, unit: str, within_s: float) -> StepResult:
    units = _units()
    run = {StartService: units.start, StopService: units.stop, RestartService: units.restart}[type(step)]
    result: StepResult = run(unit, within_s)
    return result


def _undeclared(name: str) -> str:
    return f"This endpoint declares no service {name!r}."
