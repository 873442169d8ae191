"""One endpoint's session: what it still has to be told, and what it told last.

Invariant: what waits to be sent is bounded whatever happens, because only the latest of each kind waits: one policy,
one set of settings, and answers up to ANSWERS_MAX. Owned by the event loop; no other thread touches it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from homeostat.wire.v1 import link_pb2, policy_pb2
from homeostat_controller.agents.offers import Board, Offer
from homeostat_controller.store.approvals import PENDING_MAX, Pending, PendingDenial

ANSWERS_MAX = PENDING_MAX


@dataclass(slots=True)
class Outgoing:
    """The latest of each kind that the endpoint has not been sent yet."""

    offer: Offer | None = None
    grants: list[bytes] = field(default_factory=list)
    denials: list[PendingDenial] = field(default_factory=list)
    settings: link_pb2.SessionSettings | None = None
    report_full_state: bool = False
    acknowledged: int = 0


@dataclass(slots=True)
class Session:
    """An open session. `sent_number` and `shown_number` are session tokens', see `session_tokens`."""

    endpoint_id: str
    organisation_id: str
    labels: Mapping[str, str]
    opened_at: float
    age_max_s: float
    polled: bool = False
    shown_number: int = 0
    sent_number: int = 0
    last_heard: float = 0.0
    sequence: int = 0
    active_sha256: bytes = b""
    rejected_sha256: bytes = b""
    offered_sha256: bytes = b""
    offered_at: float = 0.0
    ended: str = ""
    outgoing: Outgoing = field(default_factory=Outgoing)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def consider(self, board: Board, now: float) -> None:
        """Offer what the board assigns, unless it runs here, was offered in this session, or was rejected."""
        offer = board.offer(self.organisation_id, self.labels)
        if offer is None or offer.sha256 in (self.active_sha256, self.rejected_sha256, self.offered_sha256):
            return
        self.offered_sha256 = offer.sha256
        self.offered_at = now
        self.outgoing.offer = offer
        self.wake.set()

    def tell(self, answers: Pending) -> None:
        """Queue answers to exception packs, at most ANSWERS_MAX of each kind; more come with the next session."""
        waiting = self.outgoing
        waiting.grants += [one for one in answers.grants if one not in waiting.grants]
        waiting.denials += [one for one in answers.denials if one not in waiting.denials]
        del waiting.grants[ANSWERS_MAX:], waiting.denials[ANSWERS_MAX:]
        self.wake.set()

    def acknowledge(self, sequence: int, *, report_full_state: bool) -> None:
        """Answer a message: its number, and whether the next one must carry everything.

        An answer alone wakes nobody: whoever calls this lets it wait a little for company.
        """
        self.sequence = sequence
        self.outgoing.acknowledged = sequence
        self.outgoing.report_full_state |= report_full_state

    def close(self, cause: str, retry_after_s: float | None = None) -> None:
        """End the session once what waits is sent; the agent is asked to come back after `retry_after_s`."""
        self.ended = self.ended or cause
        if retry_after_s is not None:
            settings = self.outgoing.settings or link_pb2.SessionSettings()
            settings.retry_after.FromMilliseconds(int(retry_after_s * 1000))
            self.outgoing.settings = settings
        self.wake.set()

    @property
    def is_urgent(self) -> bool:
        """Say whether more than an acknowledgement waits."""
        waiting = self.outgoing
        return bool(waiting.offer or waiting.grants or waiting.denials or waiting.settings or waiting.report_full_state)

    def take(self, token: bytes) -> bytes:
        """Return what waits as one serialized ControllerMessage, b"" when nothing does; it waits no more."""
        waiting, self.outgoing = self.outgoing, Outgoing()
        self.wake.clear()
        if waiting == Outgoing():
            return b""
        message = link_pb2.ControllerMessage(
            grants=[policy_pb2.Signed.FromString(one) for one in waiting.grants],
            denials=[link_pb2.Denial(pack_id=one.pack_id, by=one.by, reason=one.reason) for one in waiting.denials],
            settings=waiting.settings,
            report_full_state=waiting.report_full_state,
            acknowledged_sequence_num=waiting.acknowledged,
            session_token=token,
        )
        offer = waiting.offer.message if waiting.offer else b""
        return offer + message.SerializeToString()
