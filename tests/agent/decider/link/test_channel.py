import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fixtures_tls import Authority, pem_of_key, request_of

from fakes.link_controller import Controller, abort
from homeostat.wire.v1 import link_pb2, link_pb2_grpc
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import (
    DETAILS_CHARACTERS_MAX,
    MESSAGE_BYTES_MAX,
    Connection,
    NotConnected,
    connect,
    explain,
)
from homeostat_agent.decider.link.identity import Identity, load_identity

Edit = Callable[[Identity], Identity]


@pytest.fixture
def identity(config: AgentConfig) -> Identity:
    loaded = load_identity(config)
    assert loaded is not None
    return loaded


def check_in(identity: Identity, message: link_pb2.AgentMessage | None = None) -> link_pb2.ControllerMessage:
    channel = connect(identity.link_address, identity.authority_pem, identity)
    try:
        stub = link_pb2_grpc.LinkServiceStub(channel)
        return stub.CheckIn(message or link_pb2.AgentMessage(sequence_num=7), timeout=10)
    finally:
        channel.close()


def why_not(identity: Identity, message: link_pb2.AgentMessage | None = None) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        check_in(identity, message)
    return explain(caught.value, identity.link_address)


def test_both_ends_prove_who_they_are(controller: Controller, identity: Identity) -> None:
    assert check_in(identity).acknowledged_sequence_num == 7


def of_another_authority(identity: Identity) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = Authority().endpoint(request_of(key), "ep-1")
    return replace(identity, key_pem=pem_of_key(key), certificate_pem=certificate)


def trusting_another(identity: Identity) -> Identity:
    return replace(identity, authority_pem=Authority().pem)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (of_another_authority, "the connection was closed; it may have ended, or not accept this certificate"),
        (trusting_another, "its certificate does not come from the authority this endpoint trusts"),
    ],
)
def test_whoever_cannot_prove_it_is_refused(controller: Controller, identity: Identity, edit: Edit, says: str) -> None:
    assert why_not(edit(identity)) == f"The controller at {identity.link_address} cannot be reached: {says}"
    assert controller.polls == []


def test_without_a_certificate_nobody_gets_in(controller: Controller, identity: Identity) -> None:
    channel = connect(identity.link_address, identity.authority_pem)
    with pytest.raises(grpc.RpcError):
        link_pb2_grpc.LinkServiceStub(channel).CheckIn(link_pb2.AgentMessage(), timeout=10)
    channel.close()
    assert controller.polls == []


@pytest.mark.parametrize(
    ("days", "host", "says"), [(-0.001, "127.0.0.1", "has expired"), (1, "127.0.0.9", "another address")]
)
def test_a_server_whose_certificate_does_not_hold_is_refused(
    authority: Authority, identity: Identity, days: float, host: str, says: str
) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    credentials = grpc.ssl_server_credentials([authority.server(host=host, days=days)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    assert says in why_not(replace(identity, link_address=f"127.0.0.1:{port}"))
    server.stop(None).wait()


def test_an_endpoints_certificate_is_no_servers(authority: Authority, identity: Identity) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    pair = (identity.key_pem, identity.certificate_pem)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    assert "cannot be reached" in why_not(replace(identity, link_address=f"127.0.0.1:{port}"))
    server.stop(None).wait()


def test_names_that_do_not_exist_and_silence_are_told_apart(controller: Controller, identity: Identity) -> None:
    assert "name" in why_not(replace(identity, link_address="no-such-host.invalid:1"))
    controller.next_time("CheckIn", abort(grpc.StatusCode.DEADLINE_EXCEEDED))
    assert why_not(identity).endswith("did not answer in time")
    controller.next_time("CheckIn", abort(grpc.StatusCode.UNIMPLEMENTED))
    assert why_not(identity).endswith("is it another port of the controller?")


def test_what_the_controller_says_is_shown_on_one_line_and_cut(controller: Controller, identity: Identity) -> None:
    controller.next_time("CheckIn", abort(grpc.StatusCode.PERMISSION_DENIED, "frozen\x1b[2J\n" + "x" * 1000))
    says = why_not(identity)
    assert says.isprintable()
    assert len(says) < DETAILS_CHARACTERS_MAX + 100
    controller.next_time("CheckIn", abort(grpc.StatusCode.PERMISSION_DENIED, ""))
    assert why_not(identity).endswith("refused: PERMISSION_DENIED")


def test_an_error_without_a_status_is_explained_too() -> None:
    assert explain(grpc.RpcError("odd"), "there") == "The controller at there refused: odd"


def test_messages_above_the_bound_pass_in_no_direction(controller: Controller, identity: Identity) -> None:
    fits = link_pb2.AgentMessage(session_token=bytes(MESSAGE_BYTES_MAX - 10))
    check_in(identity, fits)
    before = len(controller.polls)
    why_not(identity, link_pb2.AgentMessage(session_token=bytes(MESSAGE_BYTES_MAX)))
    assert len(controller.polls) == before


def test_a_connection_is_closed_when_the_last_has_let_go(controller: Controller, identity: Identity) -> None:
    connection = Connection()
    with pytest.raises(NotConnected), connection.borrow():
        pass
    connection.open(identity)
    with connection.borrow() as first:
        connection.open(identity)
        with connection.borrow() as second:
            assert first is not second
            connection.close()
            for channel in (first, second):
                link_pb2_grpc.LinkServiceStub(channel).CheckIn(link_pb2.AgentMessage(), timeout=10)
    with pytest.raises(ValueError, match="closed"):
        link_pb2_grpc.LinkServiceStub(first).CheckIn(link_pb2.AgentMessage())
    with pytest.raises(NotConnected), connection.borrow():
        pass
    connection.close()


def test_the_core_writes_nothing_of_its_own(controller: Controller) -> None:
    program = (
        "from homeostat_agent.decider.link.channel import connect; import grpc, sys\n"
        "from homeostat.wire.v1 import link_pb2, link_pb2_grpc\n"
        f"channel = connect('{controller.link_address}', open(sys.argv[1], 'rb').read())\n"
        "try: link_pb2_grpc.LinkServiceStub(channel).CheckIn(link_pb2.AgentMessage(), timeout=10)\n"
        "except grpc.RpcError: print('refused')"
    )
    stranger = Authority()
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, "/dev/stdin"], input=stranger.pem, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"refused\n", b"")
