import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.actuator_rig import until
from homeostat.wire.v1 import actuation_pb2
from homeostat_agent import frames
from homeostat_agent.actuator.inbox import MESSAGES_MAX, Connected, Inbox
from homeostat_agent.actuator.listening import bind
from homeostat_agent.actuator.server import Server

READY = actuation_pb2.Ready(version="1", unfinished_runs=["run-1"])


@dataclass
class Line:
    """A server on a real socket, and decider's ends of it."""

    path: Path
    inbox: Inbox
    server: Server
    clients: list[socket.socket]

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        self.clients.append(client)
        client.connect(str(self.path))
        return client

    def greeted(self) -> socket.socket:
        """Connect and take the greeting."""
        client = self.connect()
        assert hear(client) == actuation_pb2.ActuatorMessage(ready=READY)
        assert self.inbox.take(20) == Connected()
        return client


def line(folder: Path, uid: int) -> Iterator[Line]:
    path, inbox = folder / "actuator.sock", Inbox()
    listener = bind(path, os.geteuid())
    made = Line(path, inbox, Server(listener, inbox, uid), [])
    made.server.publish(READY)
    made.server.start()
    yield made
    for client in made.clients:
        client.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Line]:
    yield from line(tmp_path, os.geteuid())


@pytest.fixture
def another_s(tmp_path: Path) -> Iterator[Line]:
    yield from line(tmp_path, os.geteuid() + 1)


def hear(client: socket.socket) -> actuation_pb2.ActuatorMessage | None:
    return frames.receive(client, actuation_pb2.ActuatorMessage)


def outcome(run_id: str) -> actuation_pb2.ActuatorMessage:
    message = actuation_pb2.ActuatorMessage()
    message.outcome.run_id = run_id
    return message


def stored(run_id: str) -> actuation_pb2.DeciderMessage:
    return actuation_pb2.DeciderMessage(outcome_stored=actuation_pb2.OutcomeStored(run_id=run_id))


def test_a_decider_is_greeted_and_then_heard_and_told(mine: Line) -> None:
    client = mine.greeted()
    frames.send(client, stored("a"))
    frames.send(client, stored("b"))
    assert [mine.inbox.take(20), mine.inbox.take(20)] == [stored("a"), stored("b")]
    assert mine.server.send(outcome("c"))
    assert hear(client) == outcome("c")
    assert mine.server.peers() == (os.getpid(),)


def test_another_user_is_turned_away_without_a_word(another_s: Line) -> None:
    client = another_s.connect()
    assert client.recv(1) == b""
    assert another_s.inbox.take(0.0) is None
    assert another_s.server.peers() == ()


def test_without_a_decider_nothing_is_sent(mine: Line) -> None:
    assert not mine.server.send(outcome("a"))
    assert mine.server.peers() == ()


def test_one_decider_after_the_other(mine: Line) -> None:
    first = mine.greeted()
    second = mine.connect()
    assert mine.server.send(outcome("a"))
    assert hear(first) == outcome("a")
    first.close()
    assert hear(second) == actuation_pb2.ActuatorMessage(ready=READY)
    assert mine.inbox.take(20) == Connected()
    assert mine.server.send(outcome("b"))
    assert hear(second) == outcome("b")


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", frames.FRAME_BYTES_MAX + 1),
        struct.pack(">I", 3) + b"\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_peer_that_breaks_the_framing_loses_its_connection_and_no_more(mine: Line, sent: bytes) -> None:
    broken = mine.greeted()
    broken.sendall(sent)
    with contextlib.suppress(ConnectionResetError):  # it was cut off with bytes unread
        assert hear(broken) is None
    again = mine.greeted()
    frames.send(again, stored("a"))
    assert mine.inbox.take(20) == stored("a")


def test_a_flood_is_slowed_down_and_nothing_is_lost(mine: Line) -> None:
    client = mine.greeted()
    client.settimeout(0.2)
    count = 0
    try:
        while count < 100_000:
            frames.send(client, stored("x" * 1000))
            count += 1
    except TimeoutError:
        pass
    assert MESSAGES_MAX < count < 100_000
    for _ in range(count):
        assert mine.inbox.take(20) == stored("x" * 1000)


def test_a_decider_that_does_not_read_is_cut_off_and_the_worker_goes_on(mine: Line) -> None:
    stuck = mine.greeted()
    large = outcome("x" * 100_000)
    sent = 0
    while mine.server.send(large):
        sent += 1
        assert sent < 1000
    assert not mine.server.send(large)
    assert stuck.fileno() >= 0
    until("its place is free", lambda: mine.server.peers() == ())
    mine.greeted()


def test_the_greeting_is_what_was_published_last(mine: Line) -> None:
    mine.server.publish(actuation_pb2.Ready(version="2"))
    assert hear(mine.connect()) == actuation_pb2.ActuatorMessage(ready=actuation_pb2.Ready(version="2"))
