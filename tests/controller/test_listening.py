"""Peers that misbehave in every way at once, and an honest one that does not notice."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from fixtures_controller import Chain, opened, pack
from fixtures_identities import Keys
from fixtures_running import WAIT_S, Agent, Running, Talk, build, policy_text, wait_until

from homeostat.wire.v1 import link_pb2, link_pb2_grpc
from homeostat_controller.config import Limits, MethodLimit
from homeostat_controller.store import approvals, audit, endpoints, events
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.paging import PageRequest

# Tight, so that a test meets them quickly.
LIMITS = Limits(
    session=MethodLimit(interval_s=0.5, burst=5, in_flight=50),
    session_message=MethodLimit(interval_s=0.2, burst=20, in_flight=1000),
    push_events=MethodLimit(interval_s=0.2, burst=20, in_flight=50),
    enrol=MethodLimit(interval_s=0.01, burst=100, in_flight=50),
    enrol_token=MethodLimit(interval_s=5.0, burst=3, in_flight=50),
)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Running]:
    running = Running(build(tmp_path / "data", limits=LIMITS))
    yield running
    running.stop()


def code_of(call: Callable[[], object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        call()
    code: grpc.StatusCode = error.value.code()
    return code


def refusals(controller: Running, method: str, cause: str) -> float:
    labels = {"method": method, "cause": cause}
    return controller.core.metrics.registry.get_sample_value("homeostat_calls_refused_total", labels) or 0.0


def test_a_flood_of_messages_is_cut_and_counted(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as talk:
        talk.read()
        for _ in range(200):
            talk.send(agent.message())
        assert talk.status() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusals(controller, "SessionMessage", "rate") == 1
    wait_until(lambda: controller.core.sessions.count == 0)


def test_reconnecting_without_end_is_told_to_wait(controller: Running) -> None:
    agent = controller.agent()
    for _ in range(LIMITS.session.burst):
        with agent.session() as talk:
            talk.read()
    with agent.session() as talk:
        message = talk.read()
        assert message.settings.retry_after.ToMilliseconds() > 0
        assert talk.status() is grpc.StatusCode.OK


def push_often(stub: link_pb2_grpc.LinkServiceStub, request: link_pb2.PushEventsRequest) -> None:
    for _ in range(5):
        stub.PushEvents(request, timeout=WAIT_S)


def test_a_push_flood_is_refused_with_the_time_to_wait(controller: Running) -> None:
    agent = controller.agent()
    request = link_pb2.PushEventsRequest(instance_uid=agent.id)
    with agent.stub() as stub:
        for _ in range(LIMITS.push_events.burst):
            stub.PushEvents(request, timeout=WAIT_S)
        with pytest.raises(grpc.RpcError) as error:
            push_often(stub, request)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    (waits,) = (one.value for one in error.value.trailing_metadata() if one.key == "retry-after-ms")
    assert 0 < int(waits) <= 200


def test_a_token_is_not_guessed_at(controller: Running) -> None:
    codes = [code_of(lambda: controller.enrol(Keys().request("c2VjcmV0"))) for _ in range(5)]
    assert codes[:3] == [grpc.StatusCode.PERMISSION_DENIED] * 3
    assert codes[3:] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2


def test_to_speak_for_another_is_refused_everywhere_and_audited_once(controller: Running) -> None:
    agent, victim = controller.agent(), controller.agent()
    chain = Chain(victim.id)
    chain.add(opened())
    with agent.stub() as stub:
        assert code_of(lambda: stub.PushEvents(chain.push(), timeout=WAIT_S)) is grpc.StatusCode.PERMISSION_DENIED
        message = link_pb2.AgentMessage(instance_uid=victim.id, hello=link_pb2.Hello())
        assert code_of(lambda: stub.CheckIn(message, timeout=WAIT_S)) is grpc.StatusCode.PERMISSION_DENIED
    with agent.session() as talk:
        talk.read()
        talk.send(agent.message(instance_uid=victim.id, state=link_pb2.EndpointState(health="degraded")))
        assert talk.status() is grpc.StatusCode.PERMISSION_DENIED
    with agent.session() as talk:
        talk.send(link_pb2.AgentMessage(instance_uid=victim.id, hello=link_pb2.Hello()))
        assert talk.status() is grpc.StatusCode.PERMISSION_DENIED
    with controller.core.database.read() as connection:
        assert endpoints.get(connection, victim.id).view.health == "unknown"
        assert events.log(connection, victim.id, 1, 10) == ()
        acts = audit.list_page(connection, AuditFilter(verb="speak-for-another"), PageRequest()).items
    assert [one.object_id for one in acts] == [agent.id]


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xff", b"not protobuf at all", b""])
def test_what_is_no_first_message_is_refused(controller: Running, raw: bytes) -> None:
    agent = controller.agent()
    with agent.channel() as channel:
        talk = Talk(agent, channel)
        talk.send(raw)
        assert talk.status() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED)


def test_a_session_without_a_hello_is_refused(controller: Running) -> None:
    agent = controller.agent()
    with agent.channel() as channel:
        talk = Talk(agent, channel)
        talk.send(agent.message())
        assert talk.status() is grpc.StatusCode.INVALID_ARGUMENT


def test_too_many_bytes_and_too_many_records_are_refused(controller: Running) -> None:
    agent = controller.agent()
    large, many = Chain(agent.id), Chain(agent.id)
    large.add(b"x" * (600 << 10))
    for _ in range(2001):
        many.add(b"x")
    with agent.stub() as stub:
        assert code_of(lambda: stub.PushEvents(large.push(), timeout=WAIT_S)) is grpc.StatusCode.INVALID_ARGUMENT
        zipped = grpc.Compression.Gzip
        packed = code_of(lambda: stub.PushEvents(large.push(), timeout=WAIT_S, compression=zipped))
        assert packed is grpc.StatusCode.INVALID_ARGUMENT  # small on the wire, too large unpacked
        assert code_of(lambda: stub.PushEvents(many.push(), timeout=WAIT_S)) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_bomb_does_not_unfold(controller: Running) -> None:
    agent = controller.agent()
    request = link_pb2.PushEventsRequest(instance_uid=agent.id, records=[link_pb2.EventRecord(body=bytes(64 << 20))])
    with agent.channel() as channel:
        call = channel.unary_unary("/homeostat.wire.v1.LinkService/PushEvents", lambda one: one, lambda one: one)
        raw = request.SerializeToString()
        code = code_of(lambda: call(raw, timeout=WAIT_S, compression=grpc.Compression.Gzip))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_unknown_method_is_none(controller: Running) -> None:
    agent = controller.agent()
    with agent.channel() as channel:
        for path in ("/homeostat.wire.v1.LinkService/Shell", "/homeostat.wire.v1.EnrolmentService/Enroll", "/x"):
            call = channel.unary_unary(path, lambda one: one, lambda one: one)
            assert code_of(lambda call=call: call(b"", timeout=WAIT_S)) is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[misc]  # bound now


class Hostile(threading.Thread):
    """Does harm until it is told to stop."""

    def __init__(self, harm: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.harm, self.stopped, self.times = harm, threading.Event(), 0
        self.start()

    def run(self) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(grpc.RpcError, StopIteration):
                self.harm()
            self.times += 1
            time.sleep(0.05)  # two cores are shared with whom it harms


def harms(controller: Running, agent: Agent, victim: Agent) -> list[Callable[[], object]]:
    forged = Chain(agent.id)
    forged.add(opened())
    request = forged.push()
    request.records[0].hash = bytes(32)

    def push(one: link_pb2.PushEventsRequest) -> None:
        with agent.stub() as stub:
            stub.PushEvents(one, timeout=WAIT_S)

    def flood() -> None:
        with agent.session() as talk:
            for _ in range(100):
                talk.send(agent.message())
            talk.status()

    def nonsense() -> None:
        with agent.session() as talk:
            talk.send(b"\xff" * 1000)
            talk.status()

    return [
        flood,
        nonsense,
        lambda: push(request),
        lambda: push(link_pb2.PushEventsRequest(instance_uid=victim.id)),
        lambda: push(link_pb2.PushEventsRequest(instance_uid=agent.id, previous_hash=bytes(600 << 10))),
        lambda: controller.enrol(agent.keys.request("c2VjcmV0")),
    ]


def test_a_healthy_session_goes_on_while_peers_misbehave(controller: Running) -> None:
    core, healthy, bad = controller.core, controller.agent(), controller.agent()
    crowd = [Hostile(harm) for harm in harms(controller, bad, healthy)]
    try:
        with healthy.session() as talk, healthy.stub() as stub:
            talk.read()
            chain = Chain(healthy.id)
            for number in range(5):
                for event in (
                    opened(f"inc-{number}", core.clock()),
                    pack(f"pack-{number}", f"inc-{number}", core.clock()),
                ):
                    chain.add(event)
                wanted = stub.PushEvents(chain.push(2 * number + 1), timeout=WAIT_S).next_sequence
                assert wanted == 2 * number + 3
                core.approvals.approve(f"pack-{number}", "anna")
                assert talk.read_until(lambda one: list(one.grants))
                published = core.editing.publish_text("default", policy_text(), "anna")
                offer = talk.offer()
                assert offer.policy.revision == published.revision
                talk.accept(offer)
                receipt = link_pb2.Receipt(id=f"pack-{number}", result="accepted")
                talk.send(healthy.message(receipts=[receipt]))
                sent = healthy.sequence
                talk.read_until(lambda one, sent=sent: one.acknowledged_sequence_num == sent)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                time.sleep(0.25)  # within its own limits
    finally:
        for one in crowd:
            one.stopped.set()
        for one in crowd:
            one.join(WAIT_S)
    assert all(one.times > 0 for one in crowd)
    with core.database.read() as connection:
        assert approvals.counts(connection) == {"used": 5}
        assert audit.verify(connection).problem == ""
        assert len(events.log(connection, healthy.id, 1, 100)) == 10
        acts = audit.list_page(connection, AuditFilter(object_id=bad.id), PageRequest()).items
    # Each kind of misdeed stands in the log once, however often it was tried.
    assert sorted(one.verb for one in acts) == sorted({one.verb for one in acts})
