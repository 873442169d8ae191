"""May this policy decide here? Everything an offer has to pass before it is stored, and the stored one at each start.

Signature first, on the bytes; then parsing; then whether this agent can think so, whether the policy is sound, meant
for this endpoint and in force. Sound is only made when all of it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from google.protobuf.message import DecodeError

from homeostat import policy_check
from homeostat.policy import SEMANTICS_VERSION, Policy
from homeostat.wire.policies import policy_from_wire
from homeostat.wire.v1 import policy_pb2
from homeostat.wire.values import WireError
from homeostat_agent.decider.store.policies import PolicyRef
from homeostat_agent.verification import Refused, verify_in_child

# A machine that is swamped gets one more try with more patience, before the answer is that it cannot be known.
PATIENCE_S = (5.0, 20.0)
PROBLEMS_SHOWN_MAX = 3
REASON_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Judge:
    """What a judgement depends on beside the content. `trusted_keys` is a serialized TrustedKeys."""

    trusted_keys: bytes
    labels: Mapping[str, str]
    agent_version: str

    @property
    def digest(self) -> bytes:
        """Return what stands for this judge where rejections are remembered."""
        parts = (self.trusted_keys.hex(), repr(sorted(self.labels.items())), self.agent_version, str(SEMANTICS_VERSION))
        return sha256("\0".join(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class Sound:
    """A policy that may decide here, with what names it."""

    policy: Policy
    ref: PolicyRef


@dataclass(frozen=True, slots=True)
class Unsound:
    """Why a policy may not decide here. `sure` is False where the same content may be found sound another time."""

    reason: str
    sure: bool = True


def judge_policy(signed: bytes, judge: Judge, now: datetime) -> Sound | Unsound:
    """Judge a serialized Signed of a policy. Blocks for a child process, up to the sum of PATIENCE_S."""
    verdict = verify_in_child("policy", signed, judge.trusted_keys, PATIENCE_S[0])
    if isinstance(verdict, Refused) and not verdict.sure:
        verdict = verify_in_child("policy", signed, judge.trusted_keys, PATIENCE_S[1])
    if isinstance(verdict, Refused):
        return Unsound(verdict.reason, verdict.sure)
    message = policy_pb2.Policy()
    try:
        message.ParseFromString(verdict.payload)
    except DecodeError:
        return Unsound("The policy is not readable.")
    ref = PolicyRef(message.name, message.revision, sha256(verdict.payload).digest())
    return _judge_message(message, ref, judge, now)


def _judge_message(message: policy_pb2.Policy, ref: PolicyRef, judge: Judge, now: datetime) -> Sound | Unsound:
    # Before anything of it is read by this agent's meaning.
    if message.semantics > SEMANTICS_VERSION:
        return Unsound(f"It needs an agent of semantics {message.semantics}; this one has {SEMANTICS_VERSION}.")
    try:
        policy = policy_from_wire(message)
    except WireError as error:
        return Unsound(_cut(f"It cannot be understood: {error}."))
    problems = policy_check.check(policy)
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        shown = "; ".join(str(one) for one in problems[:PROBLEMS_SHOWN_MAX])
        return Unsound(_cut(f"It has {count}: {shown}"))
    if not policy.selector.selects(judge.labels):
        return Unsound("It does not select this endpoint's labels.")
    if policy.not_after is not None and policy.not_after <= now:
        # The clock may be the one that is wrong.
        return Unsound(f"It expired at {policy.not_after.isoformat()}.", sure=False)
    return Sound(policy, ref)


def _cut(reason: str) -> str:
    return reason[:REASON_CHARACTERS_MAX]
