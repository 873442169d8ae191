"""Is signed content vouched for? Asked by the decider and by the actuator, answered in a child process.

The cryptography library costs a resident process some 9 MB, and a bug in it or in a parser must not cost more than
the child. Verified is only ever made from the child's clear yes: everything else is Refused.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from homeostat_agent import isolation

Kind = Literal["policy", "grant"]

# A policy of hundreds of rules is some 100 KiB; a grant is below 1 KiB.
SIGNED_BYTES_MAX = 256 << 10
TRUSTED_KEYS_BYTES_MAX = 64 << 10
TIMEOUT_S = 5.0
LENGTH = struct.Struct(">I")
REQUEST_BYTES_MAX = LENGTH.size + SIGNED_BYTES_MAX + TRUSTED_KEYS_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Verified:
    """The payload, vouched for by enough of the trusted keys as content of the kind asked about."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Not vouched for, or not to be known; the reason is a sentence.

    `sure` is False where the check itself did not come to its end: another try may say otherwise.
    """

    reason: str
    sure: bool = True


def verify_in_child(kind: Kind, signed: bytes, trusted_keys: bytes, timeout_s: float = TIMEOUT_S) -> Verified | Refused:
    """Verify a serialized `Signed` against a serialized `TrustedKeys`.

    Blocks up to `timeout_s` seconds. A crash, a time-out or an odd answer of the child is a refusal.
    """
    if len(signed) > SIGNED_BYTES_MAX:
        return Refused(f"The signed {kind} has {len(signed)} bytes; the limit is {SIGNED_BYTES_MAX}.")
    if len(trusted_keys) > TRUSTED_KEYS_BYTES_MAX:
        return Refused(f"The trusted keys have {len(trusted_keys)} bytes; the limit is {TRUSTED_KEYS_BYTES_MAX}.")
    request = LENGTH.pack(len(signed)) + signed + trusted_keys
    try:
        answer = isolation.ask("homeostat_agent.verification_child", (kind,), request, timeout_s)
    except isolation.ChildError as error:
        return Refused(f"The signed {kind} could not be verified: {error}.", sure=False)
    if answer.refusal:
        return Refused(answer.refusal)
    # What was signed is inside what was sent, or the answer is made up.
    if answer.body not in signed:
        return Refused(f"The signed {kind} could not be verified: its payload came back changed.", sure=False)
    return Verified(answer.body)
