import socket
import time

import pytest

from fakes.answering import listening, says, silent
from homeostat_agent.config import Probe
from homeostat_agent.probing import STATUS_BYTES_MAX, Answer, ask


@pytest.mark.parametrize(
    ("text", "answers", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "HTTP status 200"),
        (b"HTTP/1.1 204 Fine\r\n\r\n", True, "HTTP status 204"),
        (b"HTTP/1.0 302 Found\r\n\r\n", True, "HTTP status 302"),
        (b"HTTP/1.1 399 Fine\r\n\r\n", True, "HTTP status 399"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", False, "HTTP status 503"),
        (b"HTTP/1.0 404 None\r\n", False, "HTTP status 404"),
        (b"HTTP/1.1 200 OK\n\n", True, "HTTP status 200"),
        (b"SSH-2.0\r\n", False, "the answer is not HTTP"),
        (b"", False, "closed the connection without an answer"),
    ],
)
def test_what_http_answers_mean(text: bytes, answers: bool, detail: str) -> None:
    with listening(says(text)) as port:
        assert ask(Probe(http=f"http://127.0.0.1:{port}/health")) == Answer(answers, detail)


def test_the_path_and_the_name_are_asked_for() -> None:
    heard: list[bytes] = []

    def reply(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with listening(reply) as port:
        ask(Probe(http=f"http://localhost:{port}/a?b=c"))
        ask(Probe(http=f"http://127.0.0.1:{port}"))
    assert heard[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert f"Host: localhost:{port}\r\n".encode() in heard[0]
    assert heard[1].startswith(b"GET / HTTP/1.1\r\n")


def test_a_status_line_that_comes_in_pieces_and_one_that_never_ends() -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        for part in (b"HT", b"TP/1.1 2", b"04 ", b"No\r\n"):
            connection.sendall(part)
            time.sleep(0.01)

    with listening(drip) as port:
        assert ask(Probe(http=f"http://127.0.0.1:{port}/")) == Answer(True, "HTTP status 204")
    with listening(says(b"x" * (STATUS_BYTES_MAX + 100_000))) as port:
        assert ask(Probe(http=f"http://127.0.0.1:{port}/")) == Answer(False, "the answer is not HTTP")


@pytest.mark.parametrize(("timeout_s", "within_s"), [(0.1, 10.0), (10.0, 0.1)])
def test_silence_is_a_no_after_the_shorter_of_both_bounds(timeout_s: float, within_s: float) -> None:
    with listening(silent) as port:
        probe = Probe(http=f"http://127.0.0.1:{port}/", timeout_s=timeout_s)
        assert ask(probe, within_s) == Answer(False, "no answer within 0.1 s")


def test_tcp_asks_for_a_connection_only() -> None:
    with listening(lambda _: None) as port:
        assert ask(Probe(tcp=f"127.0.0.1:{port}")) == Answer(True, "accepted a connection")
    assert ask(Probe(tcp=f"127.0.0.1:{port}")) == Answer(False, "Connection refused")
    assert ask(Probe(http=f"http://127.0.0.1:{port}/")) == Answer(False, "Connection refused")


@pytest.mark.parametrize(
    "probe",
    [
        Probe(tcp="localhost"),
        Probe(tcp="a:b:c"),
        Probe(tcp="127.0.0.1:99999"),
        Probe(tcp="a b:80"),
        Probe(tcp="no.such.name.invalid:80"),
        Probe(tcp=f"{'x' * 64}.example:80"),  # longer than a part of a name may be
        Probe(http="https://127.0.0.1/"),
        Probe(http="http://user@127.0.0.1/"),
        Probe(http="http:///x"),
        Probe(http="http://127.0.0.1/ HTTP/1.1\r\nX: y"),
    ],
)
def test_what_cannot_be_asked_is_no_data(probe: Probe) -> None:
    assert ask(probe, 5).answers is None


def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        assert ask(Probe(tcp=f"[::1]:{listener.getsockname()[1]}"), 10).answers is True
