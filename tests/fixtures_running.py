"""A controller that listens for agents, on a thread of its own, and an agent that speaks the real protocol to it."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
from fixtures_identities import Keys

from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, link_pb2, link_pb2_grpc
from homeostat_controller import core as cores
from homeostat_controller.agents.enrolment import TokenRequest
from homeostat_controller.clock import Clock, utc_now
from homeostat_controller.config import Settings
from homeostat_controller.core import Core
from homeostat_controller.listening import Ports, listening
from homeostat_controller.policies import document

WAIT_S = 20.0
T = TypeVar("T")

POLICY = """\
name: {name}
description: Restart what is down.
select: {{labels: {select}}}
priority: {priority}
playbooks:
  restart: {{action: restart_service}}
rules:
  - name: services
    when: {{fault: service-down, subject: "service:*"}}
    do: restart
    level: ask
"""


def policy_text(name: str = "web", select: str = "{}", priority: int = 0) -> str:
    return POLICY.format(name=name, select=select, priority=priority)


def wait_until(condition: Callable[[], T], what: str = "") -> T:
    """Poll until something is true; fail after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, what or "it never came true"
        time.sleep(0.005)
    return found


class Running:
    """A listening controller. `stop` ends it as a signal would; another one may then open the same folder."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.ports = Ports(0, 0)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(WAIT_S)
            assert not self._thread.is_alive()
            self.core.close()

    def token(self, wanted: TokenRequest | None = None) -> str:
        return self.core.enrolment.create_token(wanted or TokenRequest(), "anna").text

    def agent(self, keys: Keys | None = None, token: str = "", **labels: str) -> "Agent":
        keys = keys or Keys()
        return Agent(self, keys, self.enrol(keys.request(token or self.token(), **labels)))

    def enrol(self, request: enrolment_pb2.EnrollRequest) -> enrolment_pb2.EnrollResponse:
        credentials = grpc.ssl_channel_credentials(self.core.authority.root_pem)
        with grpc.secure_channel(f"127.0.0.1:{self.ports.enrol}", credentials) as channel:
            return enrolment_pb2_grpc.EnrolmentServiceStub(channel).Enroll(request, timeout=WAIT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as failure:  # noqa: BLE001  # told to the test that started it
            self._failure = failure
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with listening(self.core) as self.ports:
            self._ready.set()
            await self._stop.wait()


def build(data_dir: Path, clock: Clock = utc_now, **changes: object) -> Core:
    fixed = {
        "data_dir": data_dir,
        "enrol_listen": "127.0.0.1:0",
        "link_listen": "127.0.0.1:0",
        "names": ("127.0.0.1", "localhost"),
        "return_s": 0.2,
    }
    settings = Settings.model_validate({**fixed, **changes})
    return cores.build(settings, clock, document.compile_policy)


@dataclass
class Agent:
    """An enrolled endpoint. It keeps its session token over sessions, as agents do."""

    controller: Running
    keys: Keys
    enrolled: enrolment_pb2.EnrollResponse
    token: bytes = b""
    sequence: int = 0

    @property
    def id(self) -> str:
        return self.enrolled.endpoint_id

    def channel(self) -> grpc.Channel:
        identity = self.enrolled.identity
        credentials = grpc.ssl_channel_credentials(
            identity.authority_pem.encode(), self.keys.pem, identity.certificate_pem.encode()
        )
        address = f"127.0.0.1:{self.controller.ports.link}"
        # Small windows, so that what is not read is not taken off the network either.
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0))
        return grpc.secure_channel(address, credentials, options=options)

    @contextlib.contextmanager
    def stub(self) -> Iterator[link_pb2_grpc.LinkServiceStub]:
        with self.channel() as channel:
            yield link_pb2_grpc.LinkServiceStub(channel)

    def message(self, **fields: object) -> link_pb2.AgentMessage:
        self.sequence += 1
        known = {"instance_uid": self.id, "sequence_num": self.sequence, "session_token": self.token}
        return link_pb2.AgentMessage(**{**known, **fields})  # type: ignore[arg-type]  # fields of the message

    def hello(self, boot_id: str = "boot-1", **labels: str) -> link_pb2.AgentMessage:
        hello = link_pb2.Hello(agent_version="0.1.0", semantics=1, feature_set=1, boot_id=boot_id, labels=labels)
        return self.message(hello=hello, state=link_pb2.EndpointState(health="ok"))

    @contextlib.contextmanager
    def session(self, **labels: str) -> Iterator["Talk"]:
        with self.channel() as channel:
            talk = Talk(self, channel)
            talk.send(self.hello(**labels))
            yield talk
            talk.end()


@dataclass
class Talk:
    """An open session: what is sent goes up, what comes down is read one by one."""

    agent: Agent
    channel: grpc.Channel
    outgoing: "queue.Queue[link_pb2.AgentMessage | bytes | None]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        call = self.channel.stream_stream(
            "/homeostat.wire.v1.LinkService/Session",
            request_serializer=_serialized,
            response_deserializer=link_pb2.ControllerMessage.FromString,
        )
        self.call = call(iter(self.outgoing.get, None), timeout=60)

    def send(self, message: link_pb2.AgentMessage | bytes) -> None:
        self.outgoing.put(message)

    def read(self) -> link_pb2.ControllerMessage:
        """The next message; its token is shown from now on."""
        message: link_pb2.ControllerMessage = next(self.call)
        self.agent.token = message.session_token or self.agent.token
        return message

    def read_until(self, wanted: Callable[[link_pb2.ControllerMessage], T]) -> T:
        while not (found := wanted(self.read())):
            pass
        return found

    def offer(self) -> link_pb2.PolicyOffer:
        return self.read_until(lambda one: one.policy_offer if one.HasField("policy_offer") else None)  # type: ignore[return-value]  # it loops until there is one

    def accept(self, offer: link_pb2.PolicyOffer) -> None:
        """Say that an offered policy is the active one now."""
        status = link_pb2.PolicyStatus(offered=offer.policy, active=offer.policy, last_good=offer.policy)
        self.send(self.agent.message(policy=status))

    def status(self) -> grpc.StatusCode:
        """Read to the end; return how the call ended."""
        with contextlib.suppress(grpc.RpcError, StopIteration):
            while True:
                self.read()
        code: grpc.StatusCode = self.call.code()
        return code

    def end(self) -> None:
        self.outgoing.put(None)
        self.call.cancel()


def _serialized(message: link_pb2.AgentMessage | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
