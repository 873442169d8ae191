"""The listeners' doors: who gets a connection at all, and certificates that are replaced while it runs."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from fixtures_identities import Keys
from fixtures_running import WAIT_S, Running, build

from fakes.moved_clock import MovedClock
from homeostat.wire.v1 import link_pb2, link_pb2_grpc
from homeostat_controller.agents import authority, identity, listeners
from homeostat_controller.clock import utc_now

URI = identity.uri("default", "default", "default", "ep-1")


def refused(controller: Running, credentials: grpc.ChannelCredentials) -> grpc.StatusCode:
    with grpc.secure_channel(f"127.0.0.1:{controller.ports.link}", credentials) as channel:
        stub = link_pb2_grpc.LinkServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.PushEvents(link_pb2.PushEventsRequest(instance_uid="ep-1"), timeout=WAIT_S)
        code: grpc.StatusCode = error.value.code()
        return code


def client_of(made: authority.Authority, life: timedelta = timedelta(hours=1), uri: str = URI) -> tuple[bytes, bytes]:
    keys = Keys()
    issued = made.issue(authority.read_request(keys.csr_der), uri, life, utc_now())
    return keys.pem, issued.pem.encode()


def test_hostile_handshakes_and_identities_are_refused(controller: Running, tmp_path: Path) -> None:
    core = controller.core
    own_root = core.authority.root_pem
    stranger = authority.load_or_create(tmp_path / "stranger", utc_now())
    served = core.authority.server_certificate(("127.0.0.1",), utc_now())
    expired = client_of(core.authority, timedelta(minutes=-1))
    foreign = client_of(stranger)
    odd_uri = client_of(core.authority, uri="spiffe://elsewhere/endpoint/ep-1")
    unknown = client_of(core.authority)
    no_key, other_chain = Keys().pem, client_of(core.authority)[1]
    cases = {
        "no certificate": grpc.ssl_channel_credentials(own_root),
        "another authority's": grpc.ssl_channel_credentials(own_root, *foreign),
        "expired": grpc.ssl_channel_credentials(own_root, *expired),
        "the server's own": grpc.ssl_channel_credentials(own_root, served.key_pem, served.chain_pem),
        "another key": grpc.ssl_channel_credentials(own_root, no_key, other_chain),
        "a uri that is not ours": grpc.ssl_channel_credentials(own_root, *odd_uri),
        "a client that trusts another root": grpc.ssl_channel_credentials(stranger.root_pem, *unknown),
    }
    answers = {name: refused(controller, credentials) for name, credentials in cases.items()}
    assert set(answers.values()) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED}
    assert answers["a uri that is not ours"] is grpc.StatusCode.UNAUTHENTICATED
    # Genuine but for an endpoint that the store does not know: the door opens, the chain does not.
    with grpc.secure_channel(
        f"127.0.0.1:{controller.ports.link}", grpc.ssl_channel_credentials(own_root, *unknown)
    ) as channel:
        stub = link_pb2_grpc.LinkServiceStub(channel)
        request = link_pb2.PushEventsRequest(instance_uid="ep-1", records=[link_pb2.EventRecord(sequence=1)])
        with pytest.raises(grpc.RpcError) as error:
            stub.PushEvents(request, timeout=WAIT_S)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_plain_text_and_nonsense_get_nowhere_and_the_next_caller_is_served(controller: Running) -> None:
    for port in (controller.ports.link, controller.ports.enrol):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError):
            link_pb2_grpc.LinkServiceStub(channel).PushEvents(link_pb2.PushEventsRequest(), timeout=5)
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 500, b"\0" * 1000):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
                raw.sendall(nonsense)
    agent = controller.agent()
    with agent.session() as talk:
        assert talk.read().acknowledged_sequence_num == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(controller: Running, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=controller.core.authority.root_pem.decode())
    context.check_hostname = False
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = version
        context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", controller.ports.enrol), timeout=5) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw)


def presented(controller: Running) -> x509.Certificate:
    """The certificate that the listener shows, whatever the machine's own clock says of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", controller.ports.enrol), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[tuple[Running, MovedClock]]:
    clock = MovedClock(utc_now())
    running = Running(build(tmp_path / "data", clock))
    yield running, clock
    running.stop()


def test_the_server_s_certificate_is_replaced_at_half_its_life(moved: tuple[Running, MovedClock]) -> None:
    running, clock = moved
    first = presented(running)
    assert presented(running) == first
    clock.advance(authority.SERVER_LIFE / 2 - timedelta(seconds=1))
    assert presented(running) == first
    clock.advance(timedelta(seconds=1))
    second = presented(running)
    assert second.serial_number != first.serial_number
    assert second.not_valid_after_utc > first.not_valid_after_utc


def test_an_endpoint_whose_certificate_has_ended_is_refused_on_the_connection_it_still_has(
    moved: tuple[Running, MovedClock],
) -> None:
    running, clock = moved
    agent = running.agent()
    with agent.session() as talk:
        talk.read()
        clock.advance(timedelta(hours=25))
        talk.send(agent.message())
        assert talk.status() is grpc.StatusCode.PERMISSION_DENIED


def test_a_port_that_is_taken_is_a_sentence(controller: Running) -> None:
    made = listeners.Certificates(controller.core.authority, ("127.0.0.1",), utc_now)
    taken = f"127.0.0.1:{controller.ports.link}"

    async def try_it() -> None:
        listeners.open_port(listeners.link_server(), taken, made.credentials(mutual=True))

    with pytest.raises(listeners.ListenError, match="cannot be listened on"):
        asyncio.run(try_it())


def test_a_message_above_the_transport_s_limit_ends_that_call_only(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as talk:
        talk.read()
        with agent.session() as other:
            other.send(b"x" * (listeners.MESSAGE_BYTES_MAX + 1))
            assert other.status() is grpc.StatusCode.RESOURCE_EXHAUSTED
    oversize = Keys().request(controller.token())
    oversize.labels["k"] = "v" * listeners.ENROL_MESSAGE_BYTES_MAX
    with pytest.raises(grpc.RpcError) as error:
        controller.enrol(oversize)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert controller.agent().id
