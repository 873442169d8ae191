"""A person's yes or no to one exception pack.

Invariant: a pack is answered once, and only while its question still stands: it waits, has not expired, no newer pack
took its place, its incident is open and its endpoint is let in. The grant names the very plan that was shown.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from homeostat.exception_pack import ExceptionPack, Grant
from homeostat.wire import packs, plans
from homeostat.wire.values import WireError
from homeostat_controller.clock import Clock
from homeostat_controller.errors import Conflict, Invalid
from homeostat_controller.metrics import Metrics
from homeostat_controller.policies.signing import GRANT_TAG, Signer
from homeostat_controller.store import approvals, audit
from homeostat_controller.store.database import Database

NONCE_BYTES = 16
REASON_CHARACTERS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Desk:
    """What answering works with."""

    database: Database
    clock: Clock
    signer: Signer
    grant_life: timedelta
    metrics: Metrics


class Approvals:
    """Approve, deny, expire. Thread-safe; `answered` is called with the endpoint and the answer after each commit."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answered: Callable[[str, approvals.Pending], None] = lambda _endpoint_id, _answer: None

    def on_answered(self, call: Callable[[str, approvals.Pending], None]) -> None:
        """Set what is called after each commit of an answer."""
        self._answered = call

    def approve(self, pack_id: str, actor: str, note: str = "") -> approvals.PackDetail:
        """Allow the plan of a waiting pack, once; return the pack as it is then.

        Raises NotFound, and Conflict with the reason when its question does not stand any more.
        """
        _check_length(note)
        with self._desk.database.write() as connection:
            detail = self._standing(connection, pack_id)
            self._decide(connection, detail, approvals.Verdict("approved", actor, note))
            grant = self._grant(_readable(detail), detail.view, actor)
            approvals.add_grant(connection, grant, self._desk.clock())
            after = approvals.get(connection, pack_id)
        self._tell(detail, "approved", approvals.Pending(grants=(grant.signed,)))
        return after

    def deny(self, pack_id: str, actor: str, reason: str = "") -> approvals.PackDetail:
        """Refuse a waiting pack; return the pack as it is then.

        Raises NotFound, and Conflict with the reason when its question does not stand any more.
        """
        _check_length(reason)
        with self._desk.database.write() as connection:
            detail = self._standing(connection, pack_id)
            self._decide(connection, detail, approvals.Verdict("denied", actor, reason))
            after = approvals.get(connection, pack_id)
        denial = approvals.PendingDenial(pack_id, actor, reason)
        self._tell(detail, "denied", approvals.Pending(denials=(denial,)))
        return after

    def expire(self) -> int:
        """End packs that nobody answered and grants that did not arrive in time; return how many."""
        with self._desk.database.write() as connection:
            count = approvals.expire(connection, self._desk.clock())
        self._desk.metrics.approvals.labels("expired").inc(count)
        return count

    def _standing(self, connection: Connection, pack_id: str) -> approvals.PackDetail:
        approvals.lock(connection, pack_id)
        detail = approvals.get(connection, pack_id)
        if why := _why_not(detail, self._desk.clock()):
            raise Conflict(f"the exception pack {pack_id} cannot be answered: {why}")
        return detail

    def _decide(self, connection: Connection, detail: approvals.PackDetail, verdict: approvals.Verdict) -> None:
        now, view = self._desk.clock(), detail.view
        if not approvals.decide(connection, view.id, verdict, now):
            raise Conflict(f"the exception pack {view.id} was answered by somebody else meanwhile")
        said = {"endpoint": view.endpoint_id, "incident": view.incident_id, "playbook": view.playbook}
        verb = {"approved": "approve", "denied": "deny"}[verdict.status]
        act = audit.Act(verdict.by, verb, "exception-pack", view.id, {**said, "note": verdict.reason})
        audit.append(connection, act, now)

    def _grant(self, pack: ExceptionPack, view: approvals.PackView, actor: str) -> approvals.NewGrant:
        grant = Grant(
            pack_id=view.id,
            # From the certificate that the pack came with, whatever the pack says.
            endpoint_id=view.endpoint_id,
            incident_id=view.incident_id,
            playbook=view.playbook,
            state_digest=pack.plan.state_digest,
            plan_digest=plans.digest(pack.plan),
            policy_revision=pack.policy_revision,
            approver=actor,
            not_after=self._desk.clock() + self._desk.grant_life,
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        signed = self._desk.signer.sign(GRANT_TAG, packs.grant_to_wire(grant).SerializeToString(deterministic=True))
        return approvals.NewGrant(view.id, view.endpoint_id, actor, grant.not_after, signed.SerializeToString())

    def _tell(self, detail: approvals.PackDetail, answer: str, pending: approvals.Pending) -> None:
        self._desk.metrics.approvals.labels(answer).inc()
        self._answered(detail.view.endpoint_id, pending)


def _readable(detail: approvals.PackDetail) -> ExceptionPack:
    """Return what the person was shown; what this program cannot read whole, nobody can have judged."""
    try:
        return packs.pack_from_wire(detail.message)
    except WireError as error:
        raise Conflict(
            f"the exception pack {detail.view.id} cannot be approved: it is not readable ({error})"
        ) from None


def _why_not(detail: approvals.PackDetail, now: datetime) -> str:
    """Return why a pack's question does not stand any more, "" when it does."""
    view = detail.view
    if view.status != "waiting":
        said = {"void": f"it is void ({view.reason})", "used": "its approval was used"}
        return said.get(view.status, f"it is {view.status}")
    if view.expires_at <= now:
        return "it has expired"
    if not detail.incident_open:
        return "its incident is closed"
    if detail.endpoint_standing != "active":
        return f"its endpoint is {detail.endpoint_standing}"
    return ""


def _check_length(reason: str) -> None:
    if len(reason) > REASON_CHARACTERS_MAX:
        raise Invalid(f"the reason has {len(reason)} characters; {REASON_CHARACTERS_MAX} are allowed")
