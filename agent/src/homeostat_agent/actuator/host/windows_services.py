"""Windows services: what they are, and start, stop and restart, waited for.

The service control manager is reached through a small port, so that the waiting can be tried without Windows. Times
are ticks of 10 ms since 1970: processes are told apart by them across boots too.
"""

import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import psutil

from homeostat.plan import RestartService, StartService, StopService
from homeostat_agent import probing
from homeostat_agent.actuator.host.port import (
    CheckResult,
    Missing,
    Moment,
    ServiceFacts,
    ServiceQuery,
    ServiceStatus,
    StepResult,
)
from homeostat_agent.config import Service

TICKS_PER_S = 100
# What the service control manager itself gives a service by default is 30 s, after which most have ended or never will.
STEP_S_MAX = 90.0
LOOK_S = 0.05
PROBE_S_MAX = 10.0
CHECK_S_MAX = 10.0
SAID_CHARACTERS_MAX = 300
_STOPPED, _RUNNING = 1, 4  # SERVICE_STOPPED, SERVICE_RUNNING

ServiceStep = StartService | StopService | RestartService


class ControlError(Exception):
    """The service control manager said no; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service's state as Windows numbers it, and its process (0: none)."""

    state: int
    pid: int


class ServiceControl(Protocol):
    """The service control manager. Everything here raises ControlError."""

    def state(self, name: str) -> ServiceState:
        """Return a service's state."""

    def start(self, name: str) -> None:
        """Ask for the start of a service."""

    def stop(self, name: str) -> None:
        """Ask for the end of a service."""


class Services:
    """The Windows services that the endpoint's configuration declares."""

    def __init__(self, declared: Iterable[Service], control: ServiceControl) -> None:
        self._declared = {one.name: one for one in declared}
        self._control = control

    def read(self, query: ServiceQuery, now_s: float) -> ServiceFacts | Missing:
        """Return a service's facts at `now_s` seconds since 1970, or why there are none."""
        service = self._declared.get(query.name)
        if service is None:
            return Missing(_undeclared(query.name))
        if not service.unit:
            return Missing(f"{query.name} is a process group; on Windows only services are cared for.")
        try:
            found = self._control.state(service.unit)
        except ControlError as error:
            return Missing(str(error))
        probed = query.probe and bool(service.probe.tcp or service.probe.http)
        return ServiceFacts(
            service.name,
            _status(found),
            Moment("", int(now_s * TICKS_PER_S)),
            pid=found.pid,
            started=started(found.pid),
            check=_run_check(service) if query.check and service.check else None,
            probed=probed,
            answers=probing.ask(service.probe, PROBE_S_MAX).answers if probed and found.pid else None,
            restarts_itself=True,
        )

    def run(self, step: ServiceStep, within_s: float) -> StepResult:
        """Carry a step out and wait until it is done."""
        service = self._declared.get(step.service)
        if service is None or not service.unit:
            return StepResult(ok=False, detail=_undeclared(step.service))
        deadline = time.monotonic() + min(within_s, STEP_S_MAX)
        try:
            if not isinstance(step, StartService):
                self._until(service.unit, _STOPPED, self._control.stop, deadline)
            if not isinstance(step, StopService):
                self._until(service.unit, _RUNNING, self._control.start, deadline)
        except ControlError as error:
            return StepResult(ok=False, detail=str(error))
        return StepResult(ok=True, detail=f"{service.unit}: {type(step).__name__} is done")

    def _until(self, name: str, wanted: int, ask: Callable[[str], None], deadline: float) -> None:
        if self._control.state(name).state == wanted:
            return
        ask(name)
        while self._control.state(name).state != wanted:
            if time.monotonic() >= deadline:
                raise ControlError(f"{name} did not get there in time")
            time.sleep(LOOK_S)


def started(pid: int) -> int:
    """Return when a process started, in ticks since 1970, or 0 when there is none."""
    try:
        return int(psutil.Process(pid).create_time() * TICKS_PER_S) if pid else 0
    except psutil.Error:
        return 0


class WindowsServiceControl:
    """The real service control manager, through pywin32."""

    def state(self, name: str) -> ServiceState:
        """See ServiceControl."""
        import win32service  # noqa: PLC0415  # only there on Windows

        found = self._do(name, win32service.SERVICE_QUERY_STATUS, win32service.QueryServiceStatusEx)
        return ServiceState(int(found["CurrentState"]), int(found["ProcessId"]))

    def start(self, name: str) -> None:
        """See ServiceControl."""
        import win32service  # noqa: PLC0415  # loaded only where it is used

        self._do(name, win32service.SERVICE_START, lambda handle: win32service.StartService(handle, None))

    def stop(self, name: str) -> None:
        """See ServiceControl."""
        import win32service  # noqa: PLC0415  # loaded only where it is used

        stop = win32service.SERVICE_CONTROL_STOP
        self._do(name, win32service.SERVICE_STOP, lambda handle: win32service.ControlService(handle, stop))

    def _do(self, name: str, right: int, work: Callable[[object], Any]) -> Any:
        import win32service  # noqa: PLC0415  # loaded only where it is used

        try:
            scm = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
            try:
                handle = win32service.OpenService(scm, name, right)
                try:
                    return work(handle)
                finally:
                    win32service.CloseServiceHandle(handle)
            finally:
                win32service.CloseServiceHandle(scm)
        except win32service.error as error:
            raise ControlError(f"{name}: {error.strerror}") from error


def _run_check(service: Service) -> CheckResult:
    try:
        done = subprocess.run(
            service.check,
            cwd=service.working_dir or None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CHECK_S_MAX,
            check=False,
        )
    except OSError as error:
        return CheckResult(passed=False, said=f"{service.check[0]} cannot be started: {error.strerror}")
    except subprocess.TimeoutExpired:
        return CheckResult(passed=False, said=f"it did not end within {CHECK_S_MAX:g} s")
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return CheckResult(done.returncode == 0, lines[0][:SAID_CHARACTERS_MAX] if lines else "")


def _status(found: ServiceState) -> ServiceStatus:
    if found.state == _RUNNING:
        return ServiceStatus.RUNNING
    return ServiceStatus.DOWN if found.state == _STOPPED else ServiceStatus.UNKNOWN


def _undeclared(name: str) -> str:
    return f"This endpoint declares no Windows service {name!r}."
