"""What systemd says of units, over one D-Bus connection that stays open.

Invariant: no call waits longer than CALL_S, and after a failure systemd is left alone for RETRY_S, so that a service
manager in trouble costs a sample at most once in a while. `systemctl` is never started.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    Message,
    MessageType,
    Properties,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from homeostat_agent.decider.sensing.unit_state import BusError, BusRefusedError, UnitState

SYSTEM_BUS = "SYSTEM"
NAME = "org.freedesktop.systemd1"
SERVICE = f"{NAME}.Service"
MANAGER = DBusAddress("/org/freedesktop/systemd1", bus_name=NAME, interface=f"{NAME}.Manager")
CALL_S = 0.5
RETRY_S = 5.0


class Systemd:
    """A client of the service manager; opens its connection when it is first needed."""

    def __init__(self, bus: str = SYSTEM_BUS) -> None:
        self._bus = bus
        self._connection: DBusConnection | None = None
        self._not_before = 0.0

    def states(self, units: Iterable[str]) -> dict[str, UnitState]:
        """Return the states of units by the names asked for; one that systemd refuses to speak of is left out.

        Raises BusError; within RETRY_S of a failure at once.
        """
        if time.monotonic() < self._not_before:
            raise BusError("the service manager did not answer lately")
        try:
            if self._connection is None:
                self._connection = connect(self._bus)
            return unit_states(self._connection, units)
        except BusError:
            self.close()
            self._not_before = time.monotonic() + RETRY_S
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def connect(bus: str = SYSTEM_BUS) -> DBusConnection:
    """Open a connection to a bus: SYSTEM, or an address. Raises BusError."""
    try:
        return open_dbus_connection(bus, auth_timeout=CALL_S)
    except (OSError, RuntimeError, ValueError, DBusErrorResponse) as error:
        raise BusError(f"the bus cannot be reached: {error}") from error


def unit_states(connection: DBusConnection, units: Iterable[str]) -> dict[str, UnitState]:
    """Ask for units by name: main process and control group of those that run, the last result of those that do not.

    Raises BusError.
    """
    rows = _rows(connection, list(units))
    states = (UnitState(name, row[6], row[2], row[3], row[4]) for name, row in rows.items())
    return {state.unit: _detailed(connection, state) for state in states}


def call(connection: DBusConnection, message: Message) -> Any:
    """Call a method and return the reply's body. Raises BusError, and BusRefusedError for an error reply."""
    try:
        reply = connection.send_and_get_reply(message, timeout=CALL_S)
    except TimeoutError as error:
        raise BusError(f"no reply within {CALL_S:g} s") from error
    except (OSError, ValueError) as error:
        raise BusError(f"the bus is lost: {error}") from error
    if reply.header.message_type is MessageType.error:
        raise BusRefusedError(f"the service manager refused: {' '.join(str(one) for one in reply.body)}")
    return reply.body


def _rows(connection: DBusConnection, units: list[str]) -> dict[str, Any]:
    """Return one row per unit.

    An alias comes back under its real name, so rows are told by their order; one bad name spoils the whole answer, so
    units are then asked for one by one.
    """
    try:
        (rows,) = call(connection, new_method_call(MANAGER, "ListUnitsByNames", "as", (units,)))
    except BusRefusedError:
        rows = []
    if len(rows) == len(units):
        return dict(zip(units, rows, strict=True))
    if len(units) <= 1:
        return {}
    return {name: row for unit in units for name, row in _rows(connection, [unit]).items()}


def _detailed(connection: DBusConnection, state: UnitState) -> UnitState:
    if state.load != "loaded":
        return state
    service = Properties(DBusAddress(state.path, bus_name=NAME, interface=SERVICE))
    if state.active in ("inactive", "failed"):
        return replace(state, result=_property(connection, service.get("Result"), str))
    pid = _property(connection, service.get("MainPID"), int)
    return replace(state, main_pid=pid, control_group=_property(connection, service.get("ControlGroup"), str))


def _property(connection: DBusConnection, message: Message, kind: type) -> Any:
    ((_, value),) = call(connection, message)
    if not isinstance(value, kind):
        raise BusError(f"the service manager answered {value!r} where {kind.__name__} was expected")
    return value
