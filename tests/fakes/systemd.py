"""A private message bus and on it a small service manager that speaks what we use of systemd's interface.

Held against the real systemd by tests/agent/decider/watching/test_units.py (marker systemd), which runs the same steps.
"""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from fakes.processes import until

NAME = "org.freedesktop.systemd1"
MANAGER = DBusAddress("/org/freedesktop/systemd1", bus_name=NAME, interface=f"{NAME}.Manager")
CONFIG = """<busconfig><type>custom</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy>
</busconfig>"""
REFUSED = "org.freedesktop.systemd1.Refused"


@dataclass
class Unit:
    load: str = "loaded"
    active: str = "inactive"
    sub: str = "dead"
    main_pid: int = 0
    control_group: str = ""
    result: str = "success"


class Bus:
    """A dbus-daemon of its own, which can be ended and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "bus"
        self._config = folder / "bus.conf"
        self._config.write_text(CONFIG.format(socket=self._socket))
        self._daemon: subprocess.Popen[bytes] | None = None
        self.address = f"unix:path={self._socket}"

    def start(self) -> None:
        program = shutil.which("dbus-daemon")
        if program is None:
            pytest.skip("dbus-daemon is missing: apt-get install dbus")
        self._socket.unlink(missing_ok=True)
        self._daemon = subprocess.Popen([program, f"--config-file={self._config}", "--nofork", "--nopidfile"])
        until(self._listens, "the bus")

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._socket)) == 0

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None


class FakeSystemd:
    """The service manager: `units` by name, changed by `change`. `silent`: it hears and does not answer."""

    def __init__(self, address: str) -> None:
        self.units: dict[str, Unit] = {}
        self.aliases: dict[str, str] = {}
        self.asked: list[str] = []
        self.silent = False
        self.refuses: set[str] = set()
        self._address = address
        self._connection: DBusConnection | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        self._connection = open_dbus_connection(self._address)
        self._connection.send_and_get_reply(message_bus.RequestName(NAME))
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        if self._thread.ident is not None:
            self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def change(self, name: str, **fields: Any) -> None:
        """Change a unit and say so, as systemd does: twice, once for each interface."""
        unit = self.units.setdefault(name, Unit())
        for field, value in fields.items():
            setattr(unit, field, value)
        for interface in ("Unit", "Service"):
            emitter = DBusAddress(path_of(name), interface="org.freedesktop.DBus.Properties")
            self._send(new_signal(emitter, "PropertiesChanged", "sa{sv}as", (f"{NAME}.{interface}", {}, [])))

    def change_quietly(self, name: str, **fields: Any) -> None:
        """Change a unit and tell only that some job on it is done."""
        for field, value in fields.items():
            setattr(self.units[name], field, value)
        self._send(new_signal(MANAGER, "JobRemoved", "uoss", (1, "/org/freedesktop/systemd1/job/1", name, "done")))

    def _send(self, message: Message) -> None:
        with self._lock:
            assert self._connection is not None
            self._connection.send(message)

    def _serve(self) -> None:
        assert self._connection is not None
        while not self._stopping:
            try:
                message = self._connection.receive(timeout=0.05)
            except TimeoutError:
                continue
            except (OSError, ValueError):
                return  # the bus was taken away
            if message.header.message_type is MessageType.method_call and not self.silent:
                with suppress(OSError):
                    self._send(self._reply(message))

    def _reply(self, message: Message) -> Message:
        member = message.header.fields[HeaderFields.member]
        self.asked.append(member)
        match member:
            case "Subscribe":
                return new_method_return(message)
            case "ListUnitsByNames":
                (names,) = message.body
                if self.refuses & set(names):
                    return new_error(message, REFUSED, "s", ("no such unit name",))
                return new_method_return(message, "a(ssssssouso)", ([self._row(name) for name in names],))
            case "Get":
                path = message.header.fields[HeaderFields.path]
                unit = next(unit for name, unit in self.units.items() if path_of(name) == path)
                values = {"MainPID": ("u", unit.main_pid), "ControlGroup": ("s", unit.control_group)}
                return new_method_return(message, "v", ({**values, "Result": ("s", unit.result)}[message.body[1]],))
            case _:
                return new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "s", (member,))

    def _row(self, asked: str) -> tuple[Any, ...]:
        name = self.aliases.get(asked, asked)
        unit = self.units.get(name, Unit(load="not-found"))
        return (name, "A unit", unit.load, unit.active, unit.sub, "", path_of(name), 0, "", "/")


def path_of(unit: str) -> str:
    """Return a unit's path on the bus, escaped as systemd does."""
    escaped = "".join(one if one.isascii() and one.isalnum() else f"_{ord(one):02x}" for one in unit)
    return f"/org/freedesktop/systemd1/unit/{escaped}"


@contextmanager
def systemd_on_a_private_bus(folder: Path) -> Iterator[tuple[Bus, FakeSystemd]]:
    """Start both; end both."""
    bus = Bus(folder)
    bus.start()
    systemd = FakeSystemd(bus.address)
    try:
        systemd.start()
        yield bus, systemd
    finally:
        systemd.stop()
        bus.stop()
