"""What the healer is told to do: one repair that the authority has let through.

An order holds all that carrying the repair out and judging it later needs, so that a restarted actuator needs neither
the policy nor the decider to settle it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.policy import Policy
from homeostat.subject import Subject
from homeostat_agent.actuator.host.port import Moment

# The policy's thresholds by which repairs are planned and judged, beside their playbook's own parameters.
_THRESHOLDS = ("cpu_runaway_percent", "disk_used_percent")


@dataclass(frozen=True, slots=True)
class Params:
    """What a repair is about, and its numbers: the playbook's parameters and the policy's thresholds, by name."""

    subject: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Before:
    """The service's process before the repair (pid 0: none), and the moment at which that was read."""

    pid: int
    started: int
    at: Moment


@dataclass(frozen=True, slots=True)
class Order:
    """One repair, with the rule or the approval (`pack_id`, `nonce`) that allows it."""

    run_id: str
    incident_id: str
    fault: FaultClass
    subject: Subject
    rule: str
    playbook: Playbook
    numbers: Mapping[str, float]
    pack_id: str = ""
    nonce: bytes = b""

    @property
    def params(self) -> Params:
        """What planning and verifying go by."""
        return Params(self.subject.name, self.numbers)


def numbers(playbook: Playbook, policy: Policy) -> dict[str, float]:
    """Return the numbers that a repair by this playbook under this policy goes by."""
    own = {one.name: playbook.parameter(one.name) for one in playbook.spec.parameters}
    return {**own, **{name: policy.threshold(name) for name in _THRESHOLDS}}
