import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from homeostat.wire.v1 import actuation_pb2
from homeostat_agent import frames

Pair = tuple[socket.socket, socket.socket]
Message = actuation_pb2.DeciderMessage


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        for each in (one, other):
            each.settimeout(10)
        yield one, other


def stored(run_id: str) -> Message:
    return Message(outcome_stored=actuation_pb2.OutcomeStored(run_id=run_id))


def of_size(count: int) -> Message:
    """Return a message that is exactly so many bytes long."""
    message = stored("")
    while (lacks := count - message.ByteSize()) > 0:
        message.outcome_stored.run_id += "x" * (lacks if lacks < 8 else lacks - 8)
    assert message.ByteSize() == count
    return message


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    for run_id in ("a", "b", "c"):
        frames.send(pair[0], stored(run_id))
    heard = [frames.receive(pair[1], Message) for _ in range(3)]
    assert heard == [stored("a"), stored("b"), stored("c")]


def test_an_empty_message_is_a_message(pair: Pair) -> None:
    frames.send(pair[0], Message())
    assert frames.receive(pair[1], Message) == Message()


def test_a_message_that_comes_in_single_bytes_is_put_together(pair: Pair) -> None:
    body = stored("run-1").SerializeToString()
    for byte in struct.pack(">I", len(body)) + body:
        pair[0].sendall(bytes([byte]))
    assert frames.receive(pair[1], Message) == stored("run-1")


def test_a_close_between_frames_is_the_end(pair: Pair) -> None:
    frames.send(pair[0], stored("a"))
    pair[0].close()
    assert frames.receive(pair[1], Message) == stored("a")
    assert frames.receive(pair[1], Message) is None


@pytest.mark.parametrize("sent", [b"\0", b"\0\0\0", b"\0\0\0\5", b"\0\0\0\5abcd"])
def test_a_close_inside_a_frame_is_an_error(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    with pytest.raises(frames.FrameError, match="in the middle"):
        frames.receive(pair[1], Message)


def test_bytes_that_are_no_message_are_an_error(pair: Pair) -> None:
    pair[0].sendall(struct.pack(">I", 4) + b"\xff\xff\xff\xff")
    with pytest.raises(frames.FrameError, match="no DeciderMessage"):
        frames.receive(pair[1], Message)


@pytest.mark.parametrize("length", [frames.FRAME_BYTES_MAX + 1, 0xFFFF_FFFF])
def test_an_announcement_above_the_limit_is_refused_before_anything_is_read(pair: Pair, length: int) -> None:
    pair[0].sendall(struct.pack(">I", length))
    with pytest.raises(frames.FrameError, match=str(length)):
        frames.receive(pair[1], Message)


def test_a_message_at_the_limit_passes(pair: Pair) -> None:
    message = of_size(frames.FRAME_BYTES_MAX)
    sending = threading.Thread(target=frames.send, args=(pair[0], message))
    sending.start()
    assert frames.receive(pair[1], Message) == message
    sending.join()


def test_a_message_above_the_limit_is_not_sent(pair: Pair) -> None:
    with pytest.raises(frames.FrameError, match=str(frames.FRAME_BYTES_MAX + 1)):
        frames.send(pair[0], of_size(frames.FRAME_BYTES_MAX + 1))
    pair[0].close()
    assert frames.receive(pair[1], Message) is None


def test_the_socket_s_own_errors_come_through(pair: Pair) -> None:
    pair[1].settimeout(0.01)
    with pytest.raises(TimeoutError):
        frames.receive(pair[1], Message)
