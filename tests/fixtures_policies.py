"""Signed policies for the agent's tests: sound ones, and ways to make them unsound."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from fixtures_signing import POLICY_TAG, Signer, signed

from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.policy import Delegation, Level, Policy, Rule, Selector
from homeostat.wire.policies import policy_to_wire
from homeostat.wire.v1 import link_pb2, policy_pb2


def policy(revision: int = 1, name: str = "web", *, labels: Mapping[str, str] | None = None) -> Policy:
    """Return a sound policy that restarts services alone, for endpoints with these labels."""
    rule = Rule("down", frozenset({FaultClass.SERVICE_DOWN}), ("service:*",), ("restart",), Delegation(Level.ACT))
    selector = Selector({key: (value,) for key, value in (labels or {}).items()})
    playbooks = {"restart": Playbook("restart", "restart_service")}
    return Policy(name, revision, selector=selector, playbooks=playbooks, rules=(rule,))


def expiring(sound: Policy, at: datetime) -> Policy:
    return replace(sound, not_after=at)


def signed_policy(content: Policy | policy_pb2.Policy, *signers: Signer) -> policy_pb2.Signed:
    message = content if isinstance(content, policy_pb2.Policy) else policy_to_wire(content)
    return signed(POLICY_TAG, message.SerializeToString(deterministic=True), *signers)


def offer(vouched: policy_pb2.Signed) -> link_pb2.PolicyOffer:
    message = policy_pb2.Policy.FromString(vouched.payload)
    ref = link_pb2.PolicyRef(name=message.name, revision=message.revision, sha256=sha256(vouched.payload).digest())
    return link_pb2.PolicyOffer(policy=ref, signed=vouched)
