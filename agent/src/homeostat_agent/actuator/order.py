"""What the decider wishes, and what the healer is told to do once the authority has let it through.

An order holds all that carrying the repair out and judging it later needs, so that a restarted actuator needs neither
the policy nor the decider to settle it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from homeostat.diagnosis import FaultClass
from homeostat.incident import Incident
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


@dataclass(frozen=True, slots=True)
class Wish:
    """A repair that the decider wants, with the signed approval it relies on, if any."""

    run_id: str
    incident: Incident
    playbook: str
    signed_grant: bytes = b""


@dataclass(frozen=True, slots=True)
class No:
    """Why it is not done: a code, a sentence, the policy's rule if one settled it, the pack if an approval was read."""

    code: str
    sentence: str
    rule: str = ""
    pack_id: str = ""


def numbers(playbook: Playbook, policy: Policy) -> dict[str, float]:
    """Return the numbers that a repair by this playbook under this policy goes by."""
    own = {one.name: playbook.parameter(one.name) for one in playbook.spec.parameters}
    return {**own, **{name: policy.threshold(name) for name in _THRESHOLDS}}
