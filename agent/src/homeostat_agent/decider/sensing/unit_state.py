"""A unit of the service manager as a value, and how asking for it can fail.

Invariant: nothing is loaded for this; endpoints without units never load D-Bus.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class BusError(Exception):
    """The bus or the service manager on it does not answer; the message says why."""


class BusRefusedError(BusError):
    """The service manager answered, and said no; the connection is fine."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as the service manager knows it.

    `main_pid` is 0 where there is no main process; `result` says of a unit that is down how its last run ended.
    """

    unit: str
    path: str
    load: str
    active: str
    sub: str
    main_pid: int = 0
    control_group: str = ""
    result: str = ""


class UnitAnswers(Protocol):
    """What can tell the states of units."""

    def states(self, units: Iterable[str]) -> dict[str, UnitState]:
        """Return the states of units by name; one that cannot be told is left out. Raises BusError."""

    def close(self) -> None:
        """Give the connection back."""
