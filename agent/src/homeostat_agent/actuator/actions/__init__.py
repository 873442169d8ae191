"""The repairs that exist: each says which facts it needs and turns fresh ones into a plan. Pure; the host does it.

The keys equal the domain's catalogue, which a test asserts; a policy can name nothing else.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from homeostat.plan import Plan, Refusal
from homeostat_agent.actuator.actions import free_disk_space, restart_service, stop_process
from homeostat_agent.actuator.host.port import FactQuery, Facts
from homeostat_agent.actuator.order import Params


class Action(Protocol):
    """One kind of repair."""

    def needs(self, params: Params) -> tuple[FactQuery, ...]:
        """Name the facts that a plan rests on."""

    def plan(self, facts: Facts, params: Params) -> Plan | Refusal:
        """Plan from facts read this moment; an empty `backward` marks what cannot be undone."""


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "restart_service": restart_service,
        "stop_process": stop_process,
        "free_disk_space": free_disk_space,
    }
)
