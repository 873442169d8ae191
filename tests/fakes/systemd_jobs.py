"""The made-up service manager, with jobs: units that start, stop and restart, each answered as systemd does.

Held against the real one by tests/agent/actuator/host/test_units.py (marker systemd), which runs the same steps.
"""

from typing import Any

from jeepney import (
    HeaderFields,
    Message,
    new_error,
    new_method_return,
    new_signal,
)

from fakes.systemd import MANAGER, NAME, FakeSystemd, Unit, path_of

AFTER = {
    "StartUnit": ("active", True),
    "StopUnit": ("inactive", False),
    "RestartUnit": ("active", True),
}


class JobbingSystemd(FakeSystemd):
    """`outcome` is how jobs end, "" for never; `next_pid` is the main process of what is started next."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.outcome = "done"
        self.next_pid = 4242
        self._jobs = 0

    def _reply(self, message: Message) -> Message:
        member = message.header.fields[HeaderFields.member]
        if member in AFTER:
            self.asked.append(member)
            return self._job(member, message)
        match member:
            case "LoadUnit":
                return new_method_return(message, "o", (path_of(message.body[0]),))
            case "ResetFailedUnit":
                self.asked.append(member)
                self.units[message.body[0]].active = "inactive"
                return new_method_return(message)
            case "Get":
                return self._property(message)
            case _:
                return super()._reply(message)

    def _property(self, message: Message) -> Message:
        path, (_interface, name) = message.header.fields[HeaderFields.path], message.body
        unit = next((one for unit, one in self.units.items() if path_of(unit) == path), Unit(load="not-found"))
        values: dict[str, tuple[str, Any]] = {
            "LoadState": ("s", unit.load),
            "ActiveState": ("s", unit.active),
            "MainPID": ("u", unit.main_pid),
        }
        return new_method_return(message, "v", (values[name],))

    def _job(self, member: str, message: Message) -> Message:
        name, mode = message.body
        assert mode == "replace"
        unit = self.units.get(name)
        if unit is None:
            return new_error(message, f"{NAME}.NoSuchUnit", "s", (f"Unit {name} not found.",))
        if member == "StartUnit" and unit.active == "failed":
            return new_error(message, f"{NAME}.StartLimitHit", "s", ("start request repeated too quickly",))
        self._jobs += 1
        path = f"/org/freedesktop/systemd1/job/{self._jobs}"
        if self.outcome == "done":
            word, runs = AFTER[member]
            unit.active, unit.main_pid = word, self.next_pid if runs else 0
        if self.outcome:
            # Other jobs end as well; ours may even end before the answer to the call is out.
            for number, job in ((999, "/org/freedesktop/systemd1/job/999"), (self._jobs, path)):
                self._send(new_signal(MANAGER, "JobRemoved", "uoss", (number, job, name, self.outcome)))
        return new_method_return(message, "o", (path,))
