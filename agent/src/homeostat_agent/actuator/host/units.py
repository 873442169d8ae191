"""systemd units over D-Bus: what they are, and start, stop and restart as jobs that are waited for.

Each operation opens the bus and closes it again: it costs a millisecond or two, needs no repair after the bus has
restarted, and leaves no subscription behind that nobody reads. No systemctl is ever started.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# jeepney has no types of its own.
from jeepney import DBusAddress, DBusErrorResponse, MatchRule, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from homeostat_agent.actuator.host.port import Missing, ServiceStatus, StepResult

CALL_S_MAX = 5.0
# Endings of other jobs that may arrive between two looks at ours.
_SIGNALS_MAX = 256
_BUS_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_UNIT = "org.freedesktop.systemd1.Unit"
_SERVICE = "org.freedesktop.systemd1.Service"
_STATUS = {
    "active": ServiceStatus.RUNNING,
    "reloading": ServiceStatus.RUNNING,
    "refreshing": ServiceStatus.RUNNING,
    "inactive": ServiceStatus.DOWN,
    "failed": ServiceStatus.DOWN,
}


class BusError(Exception):
    """systemd could not be asked, or said no; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's status, its state in systemd's word, and its main process (0: none)."""

    status: ServiceStatus
    word: str
    main_pid: int


def read(unit: str) -> UnitState | Missing:
    """Return a unit's state, or why there is none."""
    try:
        with _bus() as bus:
            return _state(bus, unit)
    except BusError as error:
        return Missing(str(error))


def start(unit: str, within_s: float) -> StepResult:
    """Start a unit; one that failed too often lately is forgiven first, or systemd would refuse."""
    return _job("StartUnit", unit, within_s)


def stop(unit: str, within_s: float) -> StepResult:
    """Stop a unit."""
    return _job("StopUnit", unit, within_s)


def restart(unit: str, within_s: float) -> StepResult:
    """Restart a unit."""
    return _job("RestartUnit", unit, within_s)


def _state(bus: DBusConnection, unit: str) -> UnitState | Missing:
    (path,) = _call(bus, "LoadUnit", "s", (unit,))
    loaded = _property(bus, path, _UNIT, "LoadState")
    if loaded != "loaded":
        return Missing(f"{unit} cannot be used: systemd says {loaded}.")
    word = str(_property(bus, path, _UNIT, "ActiveState"))
    main_pid = int(_property(bus, path, _SERVICE, "MainPID"))
    status = _STATUS.get(word, ServiceStatus.UNKNOWN)
    if status is ServiceStatus.RUNNING and not main_pid:
        return Missing(f"{unit} is {word} without a main process, so there is nothing to watch.")
    return UnitState(status, word, main_pid)


def _job(method: str, unit: str, within_s: float) -> StepResult:
    try:
        with _bus() as bus:
            state = _state(bus, unit)
            if isinstance(state, Missing) and method == "StartUnit":
                return StepResult(ok=False, detail=state.reason)
            if isinstance(state, UnitState) and state.word == "failed" and method != "StopUnit":
                _call(bus, "ResetFailedUnit", "s", (unit,))
            return _await_job(bus, method, unit, within_s)
    except BusError as error:
        return StepResult(ok=False, detail=str(error))


def _await_job(bus: DBusConnection, method: str, unit: str, within_s: float) -> StepResult:
    rule = MatchRule(type="signal", interface=_MANAGER, member="JobRemoved", path=_PATH)
    deadline = time.monotonic() + within_s
    with bus.filter(rule, bufsize=_SIGNALS_MAX) as endings:
        _ask(bus, message_bus.AddMatch(rule))
        _call(bus, "Subscribe")
        (job,) = _call(bus, method, "ss", (unit, "replace"))
        result = _ending(bus, endings, job, deadline)
    if not result:
        return StepResult(ok=False, detail=f"{unit}: systemd did not finish within {within_s:g} s")
    return StepResult(result == "done", f"{unit}: {method} ended with {result}")


def _ending(bus: DBusConnection, endings: "deque[Any]", job: str, deadline: float) -> str:
    """Return how the job ended, or "" when it did not until the deadline."""
    while True:
        try:
            signal = bus.recv_until_filtered(endings, timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return ""
        except OSError as error:
            raise BusError(f"The system bus broke off: {error.strerror or error}.") from error
        _number, path, _unit, result = signal.body
        if path == job:
            return str(result)


def _call(
    bus: DBusConnection, method: str, signature: str | None = None, body: tuple[str, ...] = ()
) -> tuple[Any, ...]:
    manager = DBusAddress(_PATH, bus_name=_BUS_NAME, interface=_MANAGER)
    return _ask(bus, new_method_call(manager, method, signature, body))


def _property(bus: DBusConnection, path: str, interface: str, name: str) -> Any:
    properties = DBusAddress(path, bus_name=_BUS_NAME, interface="org.freedesktop.DBus.Properties")
    ((_signature, value),) = _ask(bus, new_method_call(properties, "Get", "ss", (interface, name)))
    return value


def _ask(bus: DBusConnection, message: Any) -> tuple[Any, ...]:
    try:
        answer: tuple[Any, ...] = unwrap_msg(bus.send_and_get_reply(message, timeout=CALL_S_MAX))
    except DBusErrorResponse as error:
        said = error.data[0] if error.data else error.name
        raise BusError(f"systemd refused: {said}") from error
    except TimeoutError as error:
        raise BusError(f"systemd did not answer within {CALL_S_MAX:g} s.") from error
    except OSError as error:
        raise BusError(f"The system bus broke off: {error.strerror or error}.") from error
    return answer


@contextmanager
def _bus() -> Iterator[DBusConnection]:
    try:
        bus = open_dbus_connection("SYSTEM", auth_timeout=CALL_S_MAX)
    except (OSError, DBusErrorResponse) as error:
        raise BusError(f"The system bus cannot be reached: {error}.") from error
    with bus:
        yield bus
