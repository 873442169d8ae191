"""What the controller sends down: an offered policy is judged and stored before anyone decides by it.

Whatever is wrong with an offer, the policy that is active stays active. A content that was refused for good is not
looked at twice, and the refusal is told as state and kept as an event.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Protocol, TypeVar

from homeostat.policy import Policy
from homeostat.wire.v1 import link_pb2, policy_pb2
from homeostat_agent.decider.link.judgement import Judge, Sound, Unsound, judge_policy
from homeostat_agent.decider.link.outgoing import Outgoing
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.policies import PolicyRef, StoredPolicy
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.spool import SpoolFull
from homeostat_agent.verification import SIGNED_BYTES_MAX

STORE_S_MAX = 60.0
SESSION_TOKEN = "link.session_token"  # noqa: S105  # the name of a key
TOKEN_BYTES_MAX = 1024
NAME_CHARACTERS_MAX = 100

T = TypeVar("T")
log = logging.getLogger(__name__)


class LinkListener(Protocol):
    """Who is told what came down. Calls come on the link's threads, one at a time, and should not take long."""

    def policy_accepted(self, policy: Policy, signed: policy_pb2.Signed) -> None:
        """A policy was accepted and stored: decide by it from now on."""

    def policy_rejected(self, ref: link_pb2.PolicyRef, reason: str) -> None:
        """An offered policy was refused; the one before stays."""

    def granted(self, signed: policy_pb2.Signed) -> None:
        """A person approved an exception pack; the signature has yet to be verified. May come more than once."""

    def denied(self, denial: link_pb2.Denial) -> None:
        """A person denied an exception pack. May come more than once."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the downlink works with; `spooled` is called after it has added an event."""

    recorder: Recorder
    listener: LinkListener
    outgoing: Outgoing
    now: Callable[[], datetime]
    spooled: Callable[[], None]


class Downlink:
    """Takes one session's messages, on the session's thread."""

    def __init__(self, desk: Desk, judge: Judge) -> None:
        self._desk = desk
        self._judge = judge
        self._noted = ""

    def receive(self, message: link_pb2.ControllerMessage) -> None:
        """Handle what one message carries. An error of the store is logged; what came is offered again."""
        try:
            self._remember(message.session_token)
            if message.HasField("policy_offer"):
                self._take_offer(message.policy_offer)
        except (StoreError, TimeoutError) as error:
            log.warning("event=downlink-not-stored reason=%r", str(error))
        for signed in message.grants:
            if signed.ByteSize() <= SIGNED_BYTES_MAX:
                self._desk.listener.granted(signed)
        for denial in message.denials:
            self._desk.listener.denied(denial)

    def _remember(self, token: bytes) -> None:
        # On disk before it is shown: a restarted agent that showed an older one would pass for its own clone.
        if token and len(token) <= TOKEN_BYTES_MAX:
            self._do(lambda stores: stores.state.set(SESSION_TOKEN, token))
            self._desk.outgoing.set_token(token)

    def _take_offer(self, offer: link_pb2.PolicyOffer) -> None:
        payload_sha256 = sha256(offer.signed.payload).digest()
        ref = PolicyRef(offer.policy.name[:NAME_CHARACTERS_MAX], offer.policy.revision, payload_sha256)
        known = self._do(lambda stores: self._note_offer(stores, ref))
        if not known:
            verdict = self._judge_offer(offer, ref)
            if isinstance(verdict, Sound):
                verdict = self._accept(verdict, offer.signed)
            if isinstance(verdict, Unsound):
                self._refuse(ref, verdict)
        self._desk.outgoing.set_policy(self._do(lambda stores: stores.policies.status(self._judge.digest)))

    def _note_offer(self, stores: Stores, ref: PolicyRef) -> bool:
        """Note what is offered; return whether nothing is to be done: it is active already, or was refused for good."""
        stores.policies.offer(ref)
        active = stores.policies.active()
        is_active = active is not None and active.ref.sha256 == ref.sha256
        return is_active or bool(stores.policies.rejection(ref.sha256, self._judge.digest))

    def _judge_offer(self, offer: link_pb2.PolicyOffer, ref: PolicyRef) -> Sound | Unsound:
        if offer.policy.sha256 != ref.sha256:
            return Unsound("Its content is not the one that was announced.")
        verdict = judge_policy(offer.signed.SerializeToString(), self._judge, self._desk.now())
        if isinstance(verdict, Sound) and verdict.ref != ref:
            return Unsound("Its name or revision is not the one that was announced.")
        return verdict

    def _accept(self, sound: Sound, signed: policy_pb2.Signed) -> Sound | Unsound:
        """Store a sound policy and hand it on, unless the floor keeps it out."""
        stored = StoredPolicy(sound.ref, signed.SerializeToString())
        why_not = self._do(lambda stores: _accept_above_floor(stores, stored))
        if why_not:
            return Unsound(why_not)
        log.info("event=policy-accepted name=%s revision=%d", sound.ref.name, sound.ref.revision)
        self._desk.listener.policy_accepted(sound.policy, signed)
        return sound

    def _refuse(self, ref: PolicyRef, unsound: Unsound) -> None:
        log.warning("event=policy-refused name=%r revision=%d reason=%r", ref.name, ref.revision, unsound.reason)
        noted = f"{ref.sha256.hex()} {unsound.reason}"
        if unsound.sure or noted != self._noted:
            self._do(lambda stores: self._record_refusal(stores, ref, unsound))
            self._desk.spooled()
        self._noted = noted
        self._desk.listener.policy_rejected(ref.to_wire(), unsound.reason)

    def _record_refusal(self, stores: Stores, ref: PolicyRef, unsound: Unsound) -> None:
        now = self._desk.now()
        event = link_pb2.Event()
        event.at.FromDatetime(now)
        if unsound.sure:
            stores.policies.reject(ref, unsound.reason, now, self._judge.digest)
            event.policy_rejected.policy.CopyFrom(ref.to_wire())
            event.policy_rejected.reason = unsound.reason
            event.policy_rejected.at.FromDatetime(now)
        else:
            # Not a rejection: the controller may offer it again, and then the answer may be another.
            event.notice.code = "policy-not-taken"
            event.notice.sentence = f"Revision {ref.revision} of {ref.name} was not taken: {unsound.reason}"
        try:
            stores.spool.append(event.SerializeToString())
        except SpoolFull:
            log.warning("event=spool-full lost=%s", event.WhichOneof("event"))

    def _do(self, work: Callable[[Stores], T]) -> T:
        return self._desk.recorder.submit(work).result(STORE_S_MAX)


def stored_policy(recorder: Recorder, judge: Judge, now: datetime) -> tuple[Policy, policy_pb2.Signed] | None:
    """Return the policy to decide by at a start: the active one if it still stands up, else the last good one.

    None before the first, and where neither can be used any more. One that has expired is still returned: by when it
    binds is for whoever decides. Also None where it could not be known now, after both of `judge_policy`'s tries: the
    policy stays stored as the active one, and a later call may return it. Raises StoreError.
    """
    stored = recorder.submit(lambda stores: stores.policies.active()).result(STORE_S_MAX)
    while stored is not None:
        # At the beginning of time: whether it has expired is not asked here.
        verdict = judge_policy(stored.signed, judge, datetime.min.replace(tzinfo=now.tzinfo))
        if isinstance(verdict, Sound):
            return verdict.policy, policy_pb2.Signed.FromString(stored.signed)
        log.error("event=stored-policy-unusable name=%s reason=%r", stored.ref.name, verdict.reason)
        if not verdict.sure:
            return None
        fall_back = partial(_fall_back, verdict.reason, now, judge.digest)
        stored = recorder.submit(fall_back).result(STORE_S_MAX)
    return None


def _fall_back(reason: str, now: datetime, judge: bytes, stores: Stores) -> StoredPolicy | None:
    return stores.policies.fall_back(reason, now, judge)


def _accept_above_floor(stores: Stores, stored: StoredPolicy) -> str:
    why_not = stores.policies.why_below_floor(stored.ref)
    if not why_not:
        stores.policies.accept(stored)
    return why_not
