"""What the decider asks for, and the actuator's no to it."""

from dataclasses import dataclass

from homeostat.incident import Incident


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
