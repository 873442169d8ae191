"""What systemd does with declared units, told by D-Bus signals instead of asking.

Invariant: a signal only says where to look; what is told is what systemd answers then, so that a lost or doubled signal
does no harm. A lost bus is said once, tried again with a growing pause, and after it every unit is looked at.
"""

import logging
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from jeepney import (
    HeaderFields,
    MatchRule,
    Message,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection

from homeostat_agent.config import Service
from homeostat_agent.decider.sensing.systemd import MANAGER, NAME, SYSTEM_BUS, call, connect, unit_states
from homeostat_agent.decider.sensing.unit_state import BusError, UnitState
from homeostat_agent.decider.watching.events import Sink, UnitChanged, WatchInterrupted, WatchResumed
from homeostat_agent.decider.watching.wakeup import WakeUp

# Signals that may wait while a question is asked; when there were more, every unit is looked at.
SIGNALS_MAX = 256
PAUSE_S_FIRST = 1.0
PAUSE_S_MAX = 60.0
WATCHER = "units"

log = logging.getLogger(__name__)


class UnitWatcher:
    """One thread on one connection. `bus` is SYSTEM or an address."""

    def __init__(
        self, services: Iterable[Service], sink: Sink, now: Callable[[], datetime], bus: str = SYSTEM_BUS
    ) -> None:
        self._units = {one.unit: one.name for one in services if one.unit}
        self._sink = sink
        self._now = now
        self._bus = bus
        self._wake = WakeUp()
        self._thread = threading.Thread(target=self._run, name="units", daemon=True)
        self._stopping = False
        self._interrupted = False
        self._pause_s = PAUSE_S_FIRST
        self._known: dict[str, UnitState] = {}

    def start(self) -> None:
        """Begin to watch: first every unit's present state is told. Without declared units nothing begins."""
        if self._units:
            self._thread.start()

    def stop(self) -> None:
        """End the thread and close the connection."""
        self._stopping = True
        self._wake.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._wake.close()

    def _run(self) -> None:
        while not self._stopping:
            try:
                with connect(self._bus) as connection:
                    self._watch(connection)
            except (BusError, OSError) as error:
                self._lost(str(error))
                self._rest()

    def _watch(self, connection: DBusConnection) -> None:
        signals: deque[Message] = deque(maxlen=SIGNALS_MAX)
        connection.filter(MatchRule(type="signal"), queue=signals)
        call(connection, new_method_call(MANAGER, "Subscribe"))
        paths = self._listen(connection)
        self._look(connection, self._units)
        self._found_again()
        poller = select.poll()
        poller.register(connection.sock, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while not self._stopping:
            # First what has arrived: a part of it may wait in the connection where the poller cannot see it.
            _receive(connection)
            units = _named(signals, paths, self._units)
            if units:
                self._look(connection, units)
            else:
                poller.poll()

    def _listen(self, connection: DBusConnection) -> dict[str, str]:
        """Ask for the signals that matter; return the units by their paths on the bus."""
        paths = {state.path: unit for unit, state in unit_states(connection, self._units).items()}
        rules = [
            MatchRule(type="signal", sender=NAME, interface=MANAGER.interface, member="JobRemoved"),
            _owner_rule(),
            *(_properties_rule(path) for path in paths),
        ]
        for rule in rules:
            call(connection, message_bus.AddMatch(rule))
        return paths

    def _look(self, connection: DBusConnection, units: Iterable[str]) -> None:
        for unit, state in unit_states(connection, units).items():
            if state != self._known.get(unit):
                self._known[unit] = state
                self._tell(unit, state)

    def _tell(self, unit: str, state: UnitState) -> None:
        event = UnitChanged(self._units[unit], unit, state.active, state.sub, state.main_pid, state.result, self._now())
        self._sink.put(event)

    def _lost(self, reason: str) -> None:
        if not self._interrupted:
            self._interrupted = True
            log.warning("watcher=%s error=%s", WATCHER, reason)
            self._sink.put(WatchInterrupted(WATCHER, reason, self._now()))

    def _found_again(self) -> None:
        self._pause_s = PAUSE_S_FIRST
        if self._interrupted:
            self._interrupted = False
            self._sink.put(WatchResumed(WATCHER, self._now()))

    def _rest(self) -> None:
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.poll(self._pause_s * 1000)
        self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)


def _properties_rule(path: str) -> MatchRule:
    return MatchRule(
        type="signal", sender=NAME, interface="org.freedesktop.DBus.Properties", member="PropertiesChanged", path=path
    )


def _owner_rule() -> MatchRule:
    rule = MatchRule(type="signal", sender=message_bus.bus_name, member="NameOwnerChanged")
    rule.add_arg_condition(0, NAME)
    return rule


def _receive(connection: DBusConnection) -> None:
    """Read what has arrived; it goes to the connection's filters. Raises BusError."""
    try:
        while True:
            connection.recv_messages(timeout=0)
    except TimeoutError:
        return
    except (OSError, ValueError) as error:
        raise BusError(f"the bus is lost: {error}") from error


def _named(signals: "deque[Message]", paths: dict[str, str], units: Iterable[str]) -> set[str]:
    """Take all waiting signals; return the units they are about. Raises BusError when systemd itself has gone."""
    declared = set(units)
    if len(signals) == SIGNALS_MAX:
        signals.clear()
        return declared
    named: set[str] = set()
    while signals:
        message = signals.popleft()
        fields = message.header.fields
        match fields.get(HeaderFields.member):
            case "NameOwnerChanged" if message.body[0] == NAME:
                raise BusError("the service manager left the bus")
            case "JobRemoved":
                named.add(message.body[2])
            case "PropertiesChanged":
                named.add(paths.get(fields.get(HeaderFields.path), ""))
    return named & declared
