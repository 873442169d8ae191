"""Protobuf messages over a stream socket: a length of 4 bytes, big-endian, then the message.

The decider and the actuator speak this over their Unix socket (a named pipe's stand-in on Windows is a loopback
socket with a secret). A frame above FRAME_BYTES_MAX ends the connection: nothing legitimate is that large.
"""

import socket
import struct
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

FRAME_BYTES_MAX = 1 << 20
_LENGTH = struct.Struct(">I")

M = TypeVar("M", bound=Message)


class FrameError(Exception):
    """The peer broke the framing or sent what is no message; the connection is of no more use."""


def send(connection: socket.socket, message: Message) -> None:
    """Send one message whole.

    Raises FrameError if it is above FRAME_BYTES_MAX, and OSError as the socket does.
    """
    body = message.SerializeToString()
    if len(body) > FRAME_BYTES_MAX:
        raise FrameError(f"a message of {len(body)} bytes is above the limit of {FRAME_BYTES_MAX}")
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, kind: type[M]) -> M | None:
    """Return the next message, or None when the peer has closed between two frames.

    Raises FrameError on an oversize or torn frame, or bytes that are no `kind`; OSError as the socket does.
    """
    head = _exactly(connection, _LENGTH.size)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_BYTES_MAX:
        raise FrameError(f"the peer announced a frame of {length} bytes; the limit is {FRAME_BYTES_MAX}")
    body = _exactly(connection, length)
    if len(body) != length:
        raise FrameError("the peer closed in the middle of a frame")
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise FrameError(f"the peer sent what is no {kind.DESCRIPTOR.name}") from error
    return message


def _exactly(connection: socket.socket, count: int) -> bytes:
    """Return `count` bytes, or b"" when the peer closed before the first of them."""
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            if parts:
                raise FrameError("the peer closed in the middle of a frame")
            return b""
        parts += part
    return bytes(parts)
