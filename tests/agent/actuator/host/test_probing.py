import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from homeostat_agent.actuator.host.probing import answers
from homeostat_agent.config import Probe


@contextmanager
def server(reply: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection: read the request and reply; None: accept and say nothing until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []
    over = threading.Event()

    def serve() -> None:
        connection, _address = listener.accept()
        with connection:
            if reply is None:
                over.wait(20)
                return
            requests.append(connection.recv(4096))
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        over.set()
        thread.join()
        listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("status", [200, 204, 301, 399])
def test_a_good_status_is_an_answer(status: int) -> None:
    with server(b"HTTP/1.1 %d Fine\r\n\r\n" % status) as (port, requests):
        assert answers(Probe(http=f"http://127.0.0.1:{port}/healthz?full=1"), 10) is True
    assert requests[0].startswith(b"GET /healthz?full=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 500 Oh\r\n\r\n", b"HTTP/1.0 404 No\r\n", b"SSH-2.0\r\n", b"", b"x" * 9000]
)
def test_anything_else_is_none(reply: bytes) -> None:
    with server(reply) as (port, _requests):
        assert answers(Probe(http=f"http://127.0.0.1:{port}"), 10) is False


def test_an_open_port_is_an_answer_and_a_closed_one_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert answers(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}"), 10) is True
    assert answers(Probe(tcp=f"127.0.0.1:{free_port()}"), 10) is False
    assert answers(Probe(http=f"http://127.0.0.1:{free_port()}/"), 10) is False


@pytest.mark.parametrize(("timeout_s", "within_s"), [(0.05, 10.0), (10.0, 0.05)])
def test_silence_is_no_answer_after_the_shorter_of_both_bounds(timeout_s: float, within_s: float) -> None:
    with server(None) as (port, _requests):
        assert answers(Probe(http=f"http://127.0.0.1:{port}/", timeout_s=timeout_s), within_s) is False


@pytest.mark.parametrize(
    "probe",
    [
        Probe(http="https://127.0.0.1/"),
        Probe(http="http://user@127.0.0.1/"),
        Probe(http="http:///x"),
        Probe(tcp="127.0.0.1"),
        Probe(tcp="127.0.0.1:99999"),
        Probe(tcp="no.such.name.invalid:80"),
    ],
)
def test_what_cannot_be_asked_is_no_data(probe: Probe) -> None:
    assert answers(probe, 5) is None


def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        assert answers(Probe(tcp=f"[::1]:{listener.getsockname()[1]}"), 10) is True
