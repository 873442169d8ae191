"""What is said in a session, whichever call carries it: the opening, each message up, and the closing.

Invariant: nothing an agent says is taken from a message whose uid or session token is not its own. Runs on the event
loop; what has to ask the database does so in a thread, once when a session opens and never per message.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection

from homeostat.wire.v1 import link_pb2
from homeostat_controller.agents import cleaning, reports
from homeostat_controller.agents.enrolment import Refused
from homeostat_controller.agents.identity import Identity
from homeostat_controller.agents.inbox import Inbox
from homeostat_controller.agents.limits import Gate
from homeostat_controller.agents.reports import Reports
from homeostat_controller.agents.session import Session
from homeostat_controller.agents.session_tokens import SessionTokens
from homeostat_controller.agents.sessions import Sessions
from homeostat_controller.agents.standing import Standings
from homeostat_controller.clock import Clock
from homeostat_controller.config import Settings
from homeostat_controller.errors import Invalid
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import approvals, audit, session_states
from homeostat_controller.store.database import Database

# One suspicion per endpoint in this time is audited: a hostile agent must not fill the log.
AUDIT_EVERY = timedelta(minutes=10)
AUDITED_MAX = 10_000
# How long an acknowledgement may wait to go out with something else.
ANSWER_S = 0.05

T = TypeVar("T")


class WrongPeer(Refused):
    """A message speaks for another endpoint than its certificate, or shows a session token that is not its own."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What conversations work with. `threads` runs what blocks."""

    settings: Settings
    clock: Clock
    ticks: Callable[[], float]
    database: Database
    standings: Standings
    sessions: Sessions
    reports: Reports
    inbox: Inbox
    tokens: SessionTokens
    messages: Gate
    metrics: Metrics
    threads: Executor
    audited: dict[tuple[str, str], datetime] = field(default_factory=dict)


class Conversation:
    """Opens, continues and closes sessions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def check_peer(self, peer: Identity, instance_uid: str) -> None:
        """Refuse a peer that is kept out, whose certificate has ended, or that speaks for another.

        Raises Refused and WrongPeer.
        """
        if self._desk.standings.is_barred(peer.endpoint_id):
            raise Refused("this endpoint is not let in; a person has to readmit it, or enrol it again")
        if peer.not_after <= self._desk.clock():
            raise Refused("this endpoint's certificate has ended; enrol it again")
        if instance_uid != peer.endpoint_id:
            await self._suspect(peer, "speak-for-another", f"it said it was {instance_uid[:80]!r}")
            raise WrongPeer("instance_uid is not the endpoint of the certificate")

    async def open(self, peer: Identity, message: link_pb2.AgentMessage, *, polled: bool = False) -> Session:
        """Open a session with its first message, and queue what the endpoint has to be told.

        Raises Invalid without a hello, Busy when there are too many, Refused, WrongPeer and NotFound.
        """
        desk = self._desk
        await self.check_peer(peer, message.instance_uid)
        if not message.HasField("hello"):
            raise Invalid("the first message of a session must say hello")
        desk.sessions.admit()
        admission = await self._in_thread(lambda c: session_states.admission(c, peer.endpoint_id))
        session = await self._session(peer, message, admission, polled=polled)
        desk.sessions.add(session)
        try:
            await self._begin(session, message, admission)
            # Only now, so that an answer given meanwhile is not lost between the question and the session.
            now = desk.clock()
            session.tell(await self._in_thread(lambda c: approvals.pending(c, peer.endpoint_id, now)))
            # The standing may have changed while the thread was asked.
            await self.check_peer(peer, message.instance_uid)
        except BaseException:
            self.close(session)
            raise
        return session

    async def hear(self, peer: Identity, session: Session, message: link_pb2.AgentMessage) -> None:
        """Take in a later message of a session.

        Raises Busy when they come too fast, Refused and WrongPeer.
        """
        self._desk.messages.spend(peer.endpoint_id)
        await self.check_peer(peer, message.instance_uid)
        session.shown_number = await self._shown(peer, session.shown_number, message)
        gap = message.sequence_num != session.sequence + 1
        if message.HasField("hello"):
            admission = await self._in_thread(lambda c: session_states.admission(c, peer.endpoint_id))
            self._hello(session, message.hello, admission)
            session.consider(self._desk.sessions.board, self._desk.ticks())
        await self._take(session, message)
        session.acknowledge(message.sequence_num, report_full_state=gap and not message.HasField("hello"))
        # Later than what others wait for: in a broadcast, each answer would hold up the offers behind it.
        asyncio.get_running_loop().call_later(ANSWER_S, session.wake.set)

    def close(self, session: Session) -> None:
        """Forget a session that ended."""
        if self._desk.sessions.remove(session):
            self._desk.reports.seen(session.endpoint_id, self._desk.clock(), connected=False)

    async def _session(
        self, peer: Identity, message: link_pb2.AgentMessage, admission: session_states.Admission, *, polled: bool
    ) -> Session:
        desk = self._desk
        if admission.standing != "active":
            raise Refused(f"this endpoint is {admission.standing}")
        older = desk.sessions.find(peer.endpoint_id)
        floor = max(admission.session_shown, desk.reports.shown(peer.endpoint_id), older.shown_number if older else 0)
        # An agent that has no token shows none; from then on it always has one.
        shown = await self._shown(peer, floor, message) if message.session_token else floor
        now = desk.ticks()
        return Session(
            endpoint_id=peer.endpoint_id,
            organisation_id=admission.organisation_id,
            labels=admission.labels,
            opened_at=now,
            age_max_s=desk.sessions.age_max_s(),
            polled=polled,
            shown_number=shown,
            last_heard=now,
            active_sha256=admission.active_sha256,
            rejected_sha256=admission.rejected_sha256,
        )

    async def _begin(
        self, session: Session, message: link_pb2.AgentMessage, admission: session_states.Admission
    ) -> None:
        settings = link_pb2.SessionSettings()
        settings.heartbeat.FromMilliseconds(int(self._desk.settings.heartbeat_s * 1000))
        session.outgoing.settings = settings
        self._hello(session, message.hello, admission)
        await self._take(session, message)
        session.acknowledge(message.sequence_num, report_full_state=False)
        session.consider(self._desk.sessions.board, self._desk.ticks())
        session.wake.set()

    def _hello(self, session: Session, said: link_pb2.Hello, admission: session_states.Admission) -> None:
        session.labels = {**cleaning.labels(said.labels), **reports.place_labels(admission)}
        row = reports.hello_row(said, session.labels, admission)
        self._desk.reports.note(session.endpoint_id, self._desk.clock(), row)

    async def _take(self, session: Session, message: link_pb2.AgentMessage) -> None:
        desk, now = self._desk, self._desk.clock()
        session.last_heard = desk.ticks()
        desk.reports.seen(session.endpoint_id, now, connected=True, shown=session.shown_number)
        if message.HasField("state"):
            desk.reports.note(session.endpoint_id, now, reports.state_row(message.state, now))
        if message.HasField("policy"):
            self._verdict(session, message.policy)
            desk.reports.note(session.endpoint_id, now, reports.policy_row(message.policy, now))
            session.consider(desk.sessions.board, desk.ticks())
        if message.receipts:
            # Before the acknowledgement, with which the agent forgets them.
            await desk.inbox.receive(reports.receipt_rows(session.endpoint_id, message))

    def _verdict(self, session: Session, said: link_pb2.PolicyStatus) -> None:
        session.active_sha256, session.rejected_sha256 = said.active.sha256, said.rejected.policy.sha256
        for verdict, digest in (("active", session.active_sha256), ("rejected", session.rejected_sha256)):
            if session.offered_at and digest == session.offered_sha256:
                self._desk.metrics.policy_verdicts.labels(verdict).inc()
                self._desk.metrics.policy_verdict.observe(self._desk.ticks() - session.offered_at)
                session.offered_at = 0.0

    async def _shown(self, peer: Identity, floor: int, message: link_pb2.AgentMessage) -> int:
        """Return the number of the session token that a message shows.

        Raises WrongPeer for one below `floor` and one that was never given.
        """
        shown = self._desk.tokens.read(peer.endpoint_id, message.session_token).number
        if shown is not None and shown >= floor:
            return shown
        what = "an unknown session token" if shown is None else "a session token older than one shown before"
        await self._suspect(peer, "suspect-clone", f"it showed {what}")
        raise WrongPeer(f"{what}: is there a copy of this endpoint? A person has to readmit it")

    async def _suspect(self, peer: Identity, verb: str, reason: str) -> None:
        desk, now, key = self._desk, self._desk.clock(), (peer.endpoint_id, verb)
        if key in desk.audited and now - desk.audited[key] < AUDIT_EVERY:
            return
        if len(desk.audited) >= AUDITED_MAX:
            desk.audited.clear()
        desk.audited[key] = now
        act = audit.Act("link", verb, "endpoint", peer.endpoint_id, {"reason": reason}, peer.organisation_id)

        def write() -> None:
            with desk.database.write() as connection:
                audit.append(connection, act, now)

        await asyncio.get_running_loop().run_in_executor(desk.threads, write)

    async def _in_thread(self, query: Callable[[Connection], T]) -> T:
        def read() -> T:
            with self._desk.database.read() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._desk.threads, read)
