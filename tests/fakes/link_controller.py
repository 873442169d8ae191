# ruff: noqa: N802  # gRPC's generated services name their methods so
"""A small controller for the agent's link tests: real gRPC and TLS on loopback, everything it got at hand.

It keeps records as the real one does (numbers without a gap, chained, repeats known), and can be told to misbehave.
"""

import base64
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from hashlib import sha256
from typing import Any

import grpc
from fixtures_signing import Signer, trusted
from fixtures_tls import Authority

from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, link_pb2, link_pb2_grpc

WAIT_S = 20.0
CHUNK_BYTES = 64 << 10
GENESIS = bytes(32)
Context = grpc.ServicerContext


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    """Poll until something holds; fail after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what or "it never came to hold"
        time.sleep(0.005)


class Controller(
    link_pb2_grpc.LinkServiceServicer,
    enrolment_pb2_grpc.EnrolmentServiceServicer,
    enrolment_pb2_grpc.IdentityServiceServicer,
):
    """Start it, let it vanish, start it again on the same ports."""

    def __init__(self, authority: Authority | None = None, signer: Signer | None = None) -> None:
        self.authority = authority or Authority()
        self.signer = signer or Signer()
        self.tokens = {b"secret"}
        self.enrolments: dict[bytes, bytes] = {}
        self.messages: list[link_pb2.AgentMessage] = []
        self.polls: list[link_pb2.AgentMessage] = []
        self.records: list[link_pb2.EventRecord] = []
        self.restarts = 0
        self.telemetry: list[link_pb2.Telemetry] = []
        self.pushes: list[link_pb2.PushEventsRequest] = []
        self.artifacts: dict[bytes, bytes] = {}
        self.fetches: list[link_pb2.FetchArtifactRequest] = []
        self.peers: list[str] = []
        # What to do about the next calls, by the RPC's name; each is called with the context and may abort it.
        self.before: dict[str, deque[Callable[[Context], None]]] = {}
        self.after: dict[str, deque[Callable[[Context], None]]] = {}
        self.next_answers: deque[link_pb2.PushEventsResponse] = deque()
        self.edit_enrolment: Callable[[enrolment_pb2.EnrollResponse], None] = lambda _: None
        self.edit_renewal: Callable[[enrolment_pb2.RenewResponse], None] = lambda _: None
        self.streams_allowed = True
        self.acknowledges = True
        # How many pushes to answer as one that has stored nothing and knows nothing would.
        self.deaf_pushes = 0
        self.poll_hold_s = 0.0
        self.ports = (0, 0)
        self._outboxes: list[queue.Queue[link_pb2.ControllerMessage | None]] = []
        self._server: grpc.Server | None = None
        self._lock = threading.Lock()

    def start(self) -> "Controller":
        server = grpc.server(futures.ThreadPoolExecutor(16))
        link_pb2_grpc.add_LinkServiceServicer_to_server(self, server)
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(self, server)
        enrolment_pb2_grpc.add_IdentityServiceServicer_to_server(self, server)
        pair = self.authority.server()
        enrol = grpc.ssl_server_credentials([pair])
        link = grpc.ssl_server_credentials([pair], self.authority.pem, require_client_auth=True)
        self.ports = (
            server.add_secure_port(f"127.0.0.1:{self.ports[0]}", enrol),
            server.add_secure_port(f"127.0.0.1:{self.ports[1]}", link),
        )
        server.start()
        self._server = server
        return self

    def vanish(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            self._close_outboxes()
            server.stop(None).wait(WAIT_S)

    @property
    def enrol_address(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def link_address(self) -> str:
        return f"127.0.0.1:{self.ports[1]}"

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.records]

    def send(self, message: link_pb2.ControllerMessage) -> None:
        with self._lock:
            self._outboxes[-1].put(message)

    def next_time(self, rpc: str, do: Callable[[Context], None], *, after: bool = False) -> None:
        (self.after if after else self.before).setdefault(rpc, deque()).append(do)

    # EnrolmentService and IdentityService

    def Enroll(self, request: enrolment_pb2.EnrollRequest, context: Any) -> enrolment_pb2.EnrollResponse:
        self._now(self.before, "Enroll", context)
        token = enrolment_pb2.JoinToken.FromString(_decode(request.token))
        known = self.enrolments.get(token.secret)
        if known is None and token.secret not in self.tokens:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "this token is not valid (any more); ask for a new one")
        if known is not None and known != request.nonce:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "this token was used by another key; it is frozen")
        self.enrolments[token.secret] = request.nonce
        response = enrolment_pb2.EnrollResponse(
            endpoint_id="ep-1",
            identity=self._identity(request.csr_der),
            trusted_keys=trusted([self.signer]),
            labels={"group": "web"},
            link_address=self.link_address,
        )
        self.edit_enrolment(response)
        self._now(self.after, "Enroll", context)
        return response

    def Renew(self, request: enrolment_pb2.RenewRequest, context: Any) -> enrolment_pb2.RenewResponse:
        self._now(self.before, "Renew", context)
        response = enrolment_pb2.RenewResponse(identity=self._identity(request.csr_der))
        self.edit_renewal(response)
        return response

    # LinkService

    def Session(self, request_iterator: Any, context: Any) -> Iterator[link_pb2.ControllerMessage]:
        self._now(self.before, "Session", context)
        if not self.streams_allowed:
            context.abort(grpc.StatusCode.UNAVAILABLE, "no streams here")
        self.peers.append(_peer(context))
        outbox: queue.Queue[link_pb2.ControllerMessage | None] = queue.Queue()
        with self._lock:
            self._outboxes.append(outbox)
        threading.Thread(target=self._read, args=(request_iterator, outbox), daemon=True).start()
        while (message := outbox.get()) is not None:
            yield message

    def CheckIn(self, request: link_pb2.AgentMessage, context: Any) -> link_pb2.ControllerMessage:
        self._now(self.before, "CheckIn", context)
        self.polls.append(request)
        time.sleep(self.poll_hold_s)
        return _acknowledgement(request)

    def PushEvents(self, request: link_pb2.PushEventsRequest, context: Any) -> link_pb2.PushEventsResponse:
        self._now(self.before, "PushEvents", context)
        if self.deaf_pushes > 0:
            self.deaf_pushes -= 1
            return link_pb2.PushEventsResponse()
        with self._lock:
            self.pushes.append(request)
            self._store(request, context)
            answer = link_pb2.PushEventsResponse(next_sequence=len(self.records) + 1)
        if self.next_answers:
            answer.MergeFrom(self.next_answers.popleft())
        self._now(self.after, "PushEvents", context)
        return answer

    def FetchArtifact(self, request: link_pb2.FetchArtifactRequest, context: Any) -> Iterator[Any]:
        self.fetches.append(request)
        content = self.artifacts.get(request.sha256)
        if content is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such artifact")
        assert content is not None
        for start in range(request.offset, len(content), CHUNK_BYTES):
            chunk = content[start : start + CHUNK_BYTES]
            yield link_pb2.FetchArtifactResponse(chunk=chunk, total_bytes=len(content))
            self._now(self.after, "FetchArtifact", context)

    def _read(self, requests: Any, outbox: "queue.Queue[link_pb2.ControllerMessage | None]") -> None:
        try:
            for message in requests:
                self.messages.append(message)
                if self.acknowledges:
                    outbox.put(_acknowledgement(message))
        except Exception:  # noqa: BLE001, S110  # the stream was torn: it ends here as well
            pass
        outbox.put(None)

    def _store(self, request: link_pb2.PushEventsRequest, context: Context) -> None:
        previous = request.previous_hash
        for one in request.records:
            assert one.hash == sha256(previous + one.sequence.to_bytes(8, "big") + one.body).digest()
            if one.sequence == len(self.records) + 1:
                head = self.records[-1].hash if self.records else GENESIS
                self.restarts += previous != head
                self.records.append(one)
            elif one.sequence <= len(self.records) and self.records[one.sequence - 1].hash != one.hash:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"record {one.sequence} has other content")
            previous = one.hash
        self.telemetry.extend(request.telemetry)

    def _identity(self, csr_der: bytes) -> enrolment_pb2.Identity:
        return enrolment_pb2.Identity(
            certificate_pem=self.authority.endpoint(csr_der, "ep-1").decode(), authority_pem=self.authority.pem.decode()
        )

    def _now(self, what: dict[str, deque[Callable[[Context], None]]], rpc: str, context: Context) -> None:
        if what.get(rpc):
            what[rpc].popleft()(context)

    def _close_outboxes(self) -> None:
        with self._lock:
            for one in self._outboxes:
                one.put(None)


def abort(code: grpc.StatusCode, details: str = "told to") -> Callable[[Context], None]:
    def do(context: Context) -> None:
        context.abort(code, details)

    return do


def busy(retry_after_s: float | str) -> Callable[[Context], None]:
    said = retry_after_s if isinstance(retry_after_s, str) else str(int(retry_after_s * 1000))

    def do(context: Context) -> None:
        context.set_trailing_metadata((("retry-after-ms", said),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls")

    return do


def _acknowledgement(message: link_pb2.AgentMessage) -> link_pb2.ControllerMessage:
    return link_pb2.ControllerMessage(
        acknowledged_sequence_num=message.sequence_num, session_token=b"token-%d" % message.sequence_num
    )


def _peer(context: Context) -> str:
    return ",".join(one.decode() for one in context.peer_identities() or ())


def _decode(token: str) -> bytes:
    body = token.removeprefix("hst1:").encode()
    return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
