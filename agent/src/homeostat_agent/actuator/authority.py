"""May this be done? Answered on the actuator's own copy of the signed policy and on its own journal's history.

What the decider says is a wish. Whatever it asks for, a repair is let through only if this endpoint's policy, verified
here, delegates exactly that playbook now, or if it asks for a person's yes and a verified, unused approval gives it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from google.protobuf.message import DecodeError

from homeostat.budget import History
from homeostat.decision import Act, Ask, Decision, decide
from homeostat.exception_pack import Grant
from homeostat.playbook import Playbook
from homeostat.policy import SEMANTICS_VERSION, Policy
from homeostat.policy_check import check
from homeostat.policy_merge import effective
from homeostat.wire import policies
from homeostat.wire.v1 import policy_pb2
from homeostat.wire.values import WireError
from homeostat_agent.actuator import grants
from homeostat_agent.actuator.enrolment import Enrolment
from homeostat_agent.actuator.order import No, Order, Wish, numbers
from homeostat_agent.actuator.policy_store import PolicyStore
from homeostat_agent.actuator.port import Verify
from homeostat_agent.verification import Refused

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Permit:
    """A wish that may be carried out; with a grant, only if the fresh plan is the one that was approved."""

    order: Order
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an offered policy; `sha256` is of its payload, empty where that was not vouched for."""

    accepted: bool
    sha256: bytes = b""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Held:
    """A policy that was verified, and the digest of its payload."""

    policy: Policy
    sha256: bytes


class Authority:
    """Holds the policy that counts here, and answers for it. `is_used` tells whether an approval's nonce was used."""

    def __init__(
        self,
        store: PolicyStore,
        verify: Verify,
        enrolment: Callable[[], Enrolment],
        is_used: Callable[[bytes], bool],
    ) -> None:
        self._store = store
        self._verify = verify
        self._enrolment = enrolment
        self._is_used = is_used
        self._held: _Held | None = None

    @property
    def policy_sha256(self) -> bytes:
        """The digest of the policy that counts, empty where there is none."""
        return self._held.sha256 if self._held is not None else b""

    def restore(self) -> None:
        """Take the kept policy up again, verified anew: the keys that count may have changed since."""
        signed = self._store.signed()
        found = self._read(signed) if signed is not None else None
        if isinstance(found, Verdict):
            log.warning("event=policy-dropped reason=%r", found.reason)
        else:
            self._held = found

    def use_policy(self, signed: bytes) -> Verdict:
        """Verify an offered policy in every respect and put it in force, or keep the one there is."""
        found = self._read(signed)
        if isinstance(found, Verdict):
            return found
        stale = self._below_floor(found)
        if stale:
            return Verdict(accepted=False, sha256=found.sha256, reason=stale)
        self._store.accept(found.policy, found.sha256, signed)
        self._held = found
        return Verdict(accepted=True, sha256=found.sha256)

    def playbook(self, name: str) -> tuple[Playbook, Policy] | No:
        """Return a playbook of the policy that counts, for a proposal: nothing is permitted by that."""
        if self._held is None:
            return _NO_POLICY
        policy = self._held.policy
        playbook = policy.playbooks.get(name)
        return (playbook, policy) if playbook else No("no-playbook", f"Policy {policy.name} has no playbook {name!r}.")

    def permit(self, wish: Wish, history: History, now: datetime) -> Permit | No:
        """Decide again, here, whether the wish may be carried out."""
        enrolment = self._enrolment()
        if self._held is None:
            return _NO_POLICY
        if enrolment.endpoint_id not in {"", wish.incident.endpoint_id}:
            return No("other-endpoint", "The incident is of another endpoint.")
        policy = effective(self._held.policy, enrolment.labels, now)
        decision = decide(wish.incident, policy, history, now)
        no = _unlike(decision, wish)
        if no is not None:
            return no
        playbook = policy.playbooks[wish.playbook]
        grant = self._grant(wish, enrolment, now) if wish.signed_grant else None
        if isinstance(grant, No):
            return grant
        return Permit(_order(wish, decision.reason.rule, playbook, policy, grant), grant)

    def _grant(self, wish: Wish, enrolment: Enrolment, now: datetime) -> Grant | No:
        assert self._held is not None  # noqa: S101  # the caller has looked
        grant = grants.read(wish.signed_grant, enrolment.trusted_keys, self._verify)
        if isinstance(grant, No):
            return grant
        no = grants.objection(grant, wish, enrolment.endpoint_id, self._held.policy.revision, now)
        return no or grants.used(grant, self._is_used) or grant

    def _read(self, signed: bytes) -> _Held | Verdict:
        enrolment = self._enrolment()
        verified = self._verify("policy", signed, enrolment.trusted_keys)
        if isinstance(verified, Refused):
            return Verdict(accepted=False, reason=verified.reason)
        digest = sha256(verified.payload).digest()
        try:
            policy = policies.policy_from_wire(policy_pb2.Policy.FromString(verified.payload))
        except (DecodeError, WireError) as error:
            return Verdict(accepted=False, sha256=digest, reason=f"The policy cannot be read: {error}.")
        reason = _unusable(policy, enrolment)
        return Verdict(accepted=False, sha256=digest, reason=reason) if reason else _Held(policy, digest)

    def _below_floor(self, offered: _Held) -> str:
        policy, floor = offered.policy, self._store.floor(offered.policy.name)
        if floor is None or policy.revision > floor.revision:
            return ""
        if policy.revision < floor.revision:
            return f"Revision {policy.revision} of {policy.name} is older than {floor.revision}, which was seen here."
        if offered.sha256 != floor.sha256:
            return f"Revision {policy.revision} of {policy.name} was seen here before with another content."
        return ""


_NO_POLICY = No("no-policy", "The actuator has no policy yet.")


def _unusable(policy: Policy, enrolment: Enrolment) -> str:
    """Return why this endpoint cannot use a policy, or nothing."""
    if policy.semantics > SEMANTICS_VERSION:
        return f"The policy needs semantics {policy.semantics}; this agent speaks {SEMANTICS_VERSION}."
    if not policy.selector.selects(enrolment.labels):
        return f"Policy {policy.name} does not select this endpoint."
    problems = check(policy)
    if problems:
        return f"Policy {policy.name} has {len(problems)} problems; the first: {problems[0]}"
    return ""


def _unlike(decision: Decision, wish: Wish) -> No | None:
    """Return what stands against the wish in what was decided here."""
    match decision:
        case Act(playbook) if playbook == wish.playbook:
            return None
        case Ask(playbook) if playbook == wish.playbook and wish.signed_grant:
            return None
        case Act(playbook, reason):
            return No("decided-otherwise", f"Decided here: {playbook}, not {wish.playbook}.", reason.rule)
        case _:
            return No(decision.reason.code.value, decision.reason.sentence, decision.reason.rule)


def _order(wish: Wish, rule: str, playbook: Playbook, policy: Policy, grant: Grant | None) -> Order:
    incident = wish.incident
    return Order(
        wish.run_id,
        incident.id,
        incident.fault,
        incident.subject,
        rule,
        playbook,
        numbers(playbook, policy),
        pack_id=grant.pack_id if grant is not None else "",
        nonce=grant.nonce if grant is not None else b"",
    )
