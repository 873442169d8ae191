"""The client against servers that misbehave, each a real one on loopback."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from homeostat_controller.client.client import Client, Target, wait_for
from homeostat_controller.client.exits import CommandError, Exit


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that always says the same."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Same)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def asked(url: str, call: Callable[[Client], object] = lambda client: client.get("/endpoints")) -> CommandError:
    client = Client(Target(url, "secret"))
    with client, pytest.raises(CommandError) as caught:
        call(client)
    return caught.value


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b"\xff"])
def test_what_answers_is_no_controller(body: bytes) -> None:
    with answering(200, body) as url:
        if body:
            assert "is no Homeostat controller" in asked(url).what
        else:
            with Client(Target(url, "")) as client:
                assert client.get("/endpoints") == {}


@pytest.mark.parametrize(
    "body", [b"", b"oops", b"{}", b"[]", b'{"type": 1}', b'{"type": "x", "title": "y", "errors": [1]}']
)
def test_a_refusal_that_does_not_say_why(body: bytes) -> None:
    with answering(500, body) as url:
        assert asked(url).code is Exit.FAILED


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("bad-filter", Exit.USAGE),
        ("approval-refused", Exit.REFUSED_BY_POLICY),
        ("forbidden", Exit.REFUSED_BY_POLICY),
        ("not-ready", Exit.NOT_REACHABLE),
        ("not-found", Exit.FAILED),
        ("something-new", Exit.FAILED),
    ],
)
def test_kinds_of_refusal_have_exit_codes(kind: str, code: Exit) -> None:
    body = f'{{"type": "urn:homeostat:problem:{kind}", "title": "What.", "detail": "Why.", "next": "Do."}}'
    with answering(409, body.encode()) as url:
        error = asked(url)
    assert (error.what, error.why, error.then, error.code) == ("What.", "Why.", "Do.", code)


def test_a_list_that_never_ends_is_left() -> None:
    endless = b'{"items": [{"id": "x"}], "total": 1, "next": "again"}'
    with answering(200, endless) as url, Client(Target(url, "")) as client:
        assert len(client.items("/endpoints", 7)) == 7


def test_nobody_answers() -> None:
    error = asked("http://127.0.0.1:9")
    assert (error.code, error.then) == (Exit.NOT_REACHABLE, "homeostat doctor")


def test_waiting_has_an_end() -> None:
    answers = iter([None, "there"])
    assert wait_for(lambda: next(answers), 5, "It") == "there"
    with pytest.raises(CommandError, match=r"It did not happen within 0.1 s\."):
        wait_for(lambda: None, 0.1, "It")
