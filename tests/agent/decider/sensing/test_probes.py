import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from fakes import processes
from homeostat_agent.config import Probe
from homeostat_agent.decider.sensing import probes as module
from homeostat_agent.decider.sensing.probes import Answer, Probes, ask


@contextmanager
def listening(reply: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port of the loopback; every connection is given to `reply` and closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection, suppress(OSError):
                    reply(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopping.set()
            thread.join()


def says(text: bytes) -> Callable[[socket.socket], None]:
    def reply(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(text)

    return reply


def silent(connection: socket.socket) -> None:
    connection.recv(4096)
    time.sleep(0.3)


@pytest.mark.parametrize(
    ("text", "answers", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "HTTP status 200"),
        (b"HTTP/1.0 302 Found\r\n\r\n", True, "HTTP status 302"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", False, "HTTP status 503"),
        (b"HTTP/1.1 404 None\r\n\r\n", False, "HTTP status 404"),
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
    with listening(says(b"x" * 100_000)) as port:
        assert ask(Probe(http=f"http://127.0.0.1:{port}/")) == Answer(False, "the answer is not HTTP")


def test_a_service_that_says_nothing_within_the_time() -> None:
    with listening(silent) as port:
        assert ask(Probe(http=f"http://127.0.0.1:{port}/", timeout_s=0.1)) == Answer(False, "no answer within 0.1 s")


def test_tcp_asks_for_a_connection_only() -> None:
    with listening(lambda _: None) as port:
        assert ask(Probe(tcp=f"127.0.0.1:{port}")) == Answer(True, "accepted a connection")
    assert ask(Probe(tcp=f"127.0.0.1:{port}")) == Answer(False, "Connection refused")


@pytest.mark.parametrize(
    "probe",
    [
        Probe(tcp="localhost"),
        Probe(tcp="a:b:c"),
        Probe(http="https://127.0.0.1/"),
        Probe(http="http:///"),
        Probe(http="http://127.0.0.1/ HTTP/1.1\r\nX: y"),
    ],
)
def test_what_is_no_address_is_not_asked(probe: Probe) -> None:
    assert ask(probe).answers is None


def test_a_port_that_cannot_be_is_no_answer() -> None:
    assert ask(Probe(tcp="127.0.0.1:99999")).answers is False


def answered(probes: Probes, name: str, pid: int, probe: Probe) -> Answer:
    processes.until(lambda: probes.last(name, pid, probe) is not None, f"an answer of {name}")
    found = probes.last(name, pid, probe)
    assert found is not None
    return found


def test_the_last_answer_belongs_to_one_process_and_has_an_age() -> None:
    with listening(says(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        probe = Probe(http=f"http://127.0.0.1:{port}/")
        probes = Probes()
        assert probes.last("web", 7, probe) is None
        probes.ask("web", 7, probe)
        found = answered(probes, "web", 7, probe)
        assert found.answers is True
        assert 0 <= found.age_s < 10
        assert probes.last("web", 8, probe) is None
        probes.close()


def test_an_answer_that_is_too_old_is_none() -> None:
    probe = Probe(tcp="127.0.0.1:1", timeout_s=0.1)
    probes = Probes()
    probes._answers["web"] = (7, Answer(True, ""), time.monotonic() - module.AGE_TIMEOUTS_MAX - 1)
    assert probes.last("web", 7, probe) is None


def test_services_that_hang_do_not_keep_others_or_the_asker_waiting() -> None:
    with listening(silent) as slow, listening(says(b"HTTP/1.1 200 OK\r\n\r\n")) as fast:
        probes = Probes()
        hanging = Probe(http=f"http://127.0.0.1:{slow}/", timeout_s=0.2)
        began = time.thread_time()
        for number in range(module.THREADS_MAX - 1):
            probes.ask(f"slow-{number}", 1, hanging)
        probes.ask("fast", 1, Probe(http=f"http://127.0.0.1:{fast}/"))
        assert time.thread_time() - began < 0.1
        assert answered(probes, "fast", 1, Probe()).answers is True
        assert answered(probes, "slow-0", 1, hanging).answers is False
        probes.close()


def test_a_question_that_is_open_is_not_asked_again_and_threads_are_bounded() -> None:
    with listening(silent) as port:
        probes = Probes()
        probe = Probe(http=f"http://127.0.0.1:{port}/", timeout_s=0.1)
        for _ in range(3):
            for number in range(module.THREADS_MAX + 3):
                probes.ask(str(number), 1, probe)
        assert probes._threads == module.THREADS_MAX
        assert len(probes._waiting) <= module.THREADS_MAX + 3
        processes.until(lambda: not probes._waiting, "all asked")
        probes.close()
        ours = [one for one in threading.enumerate() if one.name == "probe"]
        for one in ours:
            one.join(processes.WAIT_S)
