"""The services of the link listener, where every caller has a certificate: sessions, events, artifacts, renewal.

Invariant: each call is held against the limits of its method and the identity of its certificate before anything else
is done for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
from grpc import aio

from homeostat.wire.v1 import enrolment_pb2, link_pb2
from homeostat_controller.agents import reports
from homeostat_controller.agents.artifacts import Artifacts
from homeostat_controller.agents.calls import Context, Methods, guarded, parsed, peer_of
from homeostat_controller.agents.conversation import Conversation, Desk
from homeostat_controller.agents.enrolment import Enrolment, Refused
from homeostat_controller.agents.identity import Identity
from homeostat_controller.agents.limits import Gate
from homeostat_controller.agents.session import Session
from homeostat_controller.agents.standing import BARRED
from homeostat_controller.errors import Busy, Invalid

CONTROL_BYTES_MAX = 1 << 20
EVENTS_BYTES_MAX = 512 << 10
RECORDS_MAX = 2000
RENEW_BYTES_MAX = 64 << 10
FIRST_MESSAGE_S = 10.0
POLL_S = 55.0


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits of each method."""

    session: Gate
    push_events: Gate
    fetch_artifact: Gate
    check_in: Gate
    renew: Gate


class LinkService:
    """Behind mTLS. All methods run on the event loop."""

    def __init__(self, desk: Desk, gates: Gates, enrolment: Enrolment, artifacts: Artifacts) -> None:
        self._desk = desk
        self._gates = gates
        self._enrolment = enrolment
        self._artifacts = artifacts
        self._talk = Conversation(desk)

    async def session(self, _requests: AsyncIterator[bytes], context: Context) -> None:
        """Carry one endpoint's session until either side ends it."""
        await guarded(self._session(context), "Session", context, self._desk.metrics)

    async def push_events(self, raw: bytes, context: Context) -> bytes:
        """Store events; answered after their commit."""
        return await guarded(self._push_events(raw, context), "PushEvents", context, self._desk.metrics)

    async def check_in(self, raw: bytes, context: Context) -> bytes:
        """Carry a session's messages over single calls, each held until there is something to say."""
        return await guarded(self._check_in(raw, context), "CheckIn", context, self._desk.metrics)

    async def fetch_artifact(self, raw: bytes, context: Context) -> None:
        """Send content by its hash."""
        await guarded(self._fetch_artifact(raw, context), "FetchArtifact", context, self._desk.metrics)

    async def renew(self, raw: bytes, context: Context) -> bytes:
        """Issue the endpoint's next certificate."""
        return await guarded(self._renew(raw, context), "Renew", context, self._desk.metrics)

    def sweep(self) -> None:
        """End what is too old or silent. Called each second or so."""
        for session in self._desk.sessions.sweep():
            self._talk.close(session)

    async def _session(self, context: Context) -> None:
        peer = peer_of(context)
        try:
            with self._gates.session.enter(peer.endpoint_id):
                session = await self._talk.open(peer, await _first(context))
        except Busy as busy:
            await context.write(_come_back(busy))
            return
        try:
            await self._carry(peer, session, context)
        finally:
            self._talk.close(session)

    async def _carry(self, peer: Identity, session: Session, context: Context) -> None:
        """Read and write until one of the two is done; then let what still waits go out."""
        reader = asyncio.create_task(self._read(peer, session, context))
        writer = asyncio.create_task(self._write(session, context))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            session.close("peer")
            # A write that is cut off would keep gRPC from ever sending how the call ended.
            await asyncio.wait({writer}, timeout=self._desk.settings.slow_reader_s)
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        for task in (reader, writer):
            if not task.cancelled():
                task.result()
        if session.ended == BARRED:
            raise Refused("this endpoint is not let in any more")

    async def _read(self, peer: Identity, session: Session, context: Context) -> None:
        while (raw := await context.read()) is not aio.EOF:
            await self._talk.hear(peer, session, parsed(link_pb2.AgentMessage, raw, CONTROL_BYTES_MAX))

    async def _write(self, session: Session, context: Context) -> None:
        while True:
            await session.wake.wait()
            if raw := self._take(session):
                try:
                    async with asyncio.timeout(self._desk.settings.slow_reader_s):
                        await context.write(raw)
                except TimeoutError:
                    session.ended = "slow"
                    raise Refused("what was sent is not read") from None
            elif session.ended:
                return

    def _take(self, session: Session) -> bytes:
        """Return what waits, with the next session token."""
        number = self._desk.tokens.next_number(max(session.sent_number, session.shown_number))
        raw = session.take(self._desk.tokens.write(session.endpoint_id, number))
        if raw:
            session.sent_number = number
        if session.ended:
            session.wake.set()
        return raw

    async def _push_events(self, raw: bytes, context: Context) -> bytes:
        peer = peer_of(context)
        with self._gates.push_events.enter(peer.endpoint_id):
            request = parsed(link_pb2.PushEventsRequest, raw, EVENTS_BYTES_MAX)
            await self._talk.check_peer(peer, request.instance_uid)
            if len(request.records) > RECORDS_MAX:
                raise Invalid(f"a request may have {RECORDS_MAX} records, not {len(request.records)}")
            expected = await self._desk.inbox.push(request)
            now = self._desk.clock()
            if (row := reports.telemetry_row(request, now)) is not None:
                self._desk.reports.note(peer.endpoint_id, now, row)
            return link_pb2.PushEventsResponse(next_sequence=expected).SerializeToString()

    async def _check_in(self, raw: bytes, context: Context) -> bytes:
        peer = peer_of(context)
        with self._gates.check_in.enter(peer.endpoint_id):
            message = parsed(link_pb2.AgentMessage, raw, CONTROL_BYTES_MAX)
            session = self._desk.sessions.find(peer.endpoint_id)
            if message.HasField("hello"):
                try:
                    session = await self._talk.open(peer, message, polled=True)
                except Busy as busy:
                    return _come_back(busy)
            elif session is None or not session.polled or session.ended:
                await self._talk.check_peer(peer, message.instance_uid)
                return link_pb2.ControllerMessage(report_full_state=True).SerializeToString()
            else:
                await self._talk.hear(peer, session, message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await _something_to_say(session)
            return self._take(session)

    async def _fetch_artifact(self, raw: bytes, context: Context) -> None:
        peer = peer_of(context)
        with self._gates.fetch_artifact.enter(peer.endpoint_id):
            request = parsed(link_pb2.FetchArtifactRequest, raw, CONTROL_BYTES_MAX)
            await self._talk.check_peer(peer, peer.endpoint_id)
            total, offset = self._artifacts.size(request.sha256), request.offset
            if offset > total:
                raise Invalid(f"the artifact has {total} bytes; offset {offset} lies behind its end")
            while chunk := await asyncio.to_thread(self._artifacts.chunk, request.sha256, offset):
                answer = link_pb2.FetchArtifactResponse(chunk=chunk, total_bytes=total)
                async with asyncio.timeout(self._desk.settings.slow_reader_s):
                    await context.write(answer.SerializeToString())
                offset += len(chunk)

    async def _renew(self, raw: bytes, context: Context) -> bytes:
        peer = peer_of(context)
        with self._gates.renew.enter(peer.endpoint_id):
            request = parsed(enrolment_pb2.RenewRequest, raw, RENEW_BYTES_MAX)
            await self._talk.check_peer(peer, peer.endpoint_id)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._desk.threads, self._enrolment.renew, peer, request.csr_der)
            return answer.SerializeToString()


def methods(service: LinkService) -> list[grpc.GenericRpcHandler]:
    """Return the services as gRPC takes them, with bytes in and out."""
    link: Methods = {
        "Session": grpc.stream_stream_rpc_method_handler(service.session),
        "PushEvents": grpc.unary_unary_rpc_method_handler(service.push_events),
        "CheckIn": grpc.unary_unary_rpc_method_handler(service.check_in),
        "FetchArtifact": grpc.unary_stream_rpc_method_handler(service.fetch_artifact),
    }
    renewal: Methods = {"Renew": grpc.unary_unary_rpc_method_handler(service.renew)}
    return [
        grpc.method_handlers_generic_handler("homeostat.wire.v1.LinkService", link),
        grpc.method_handlers_generic_handler("homeostat.wire.v1.IdentityService", renewal),
    ]


async def _first(context: Context) -> link_pb2.AgentMessage:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            raw = await context.read()
    except TimeoutError:
        raise Invalid(f"no message came within {FIRST_MESSAGE_S:g} s") from None
    if raw is aio.EOF:
        raise Invalid("the session ended before its first message")
    return parsed(link_pb2.AgentMessage, raw, CONTROL_BYTES_MAX)


async def _something_to_say(session: Session) -> None:
    while not session.is_urgent and not session.ended:
        session.wake.clear()
        await session.wake.wait()


def _come_back(busy: Busy) -> bytes:
    settings = link_pb2.SessionSettings()
    settings.retry_after.FromMilliseconds(int(busy.retry_after_s * 1000))
    return link_pb2.ControllerMessage(settings=settings).SerializeToString()
