"""What holds for every message: values come back, and a spoilt message raises WireError and nothing else."""

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from hypothesis import strategies as st

from homeostat.wire.values import WireError

V = TypeVar("V")
M = TypeVar("M", bound=Message)


def sent(message: M) -> M:
    """What arrives at the other end."""
    return type(message).FromString(message.SerializeToString())


def comes_back(value: V, to_wire: Callable[[V], M], from_wire: Callable[[M], V]) -> None:
    message = to_wire(value)
    assert from_wire(sent(message)) == value
    assert to_wire(from_wire(message)) == message


def spoilt(data: st.DataObject, message: M) -> M | None:
    """The message with some bytes changed, or None where that is no message at all."""
    draw, raw = data.draw, bytearray(message.SerializeToString())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        cut = draw(st.sampled_from(("change", "drop", "insert")))
        raw[at : at + (cut != "insert")] = b"" if cut == "drop" else draw(st.binary(min_size=1, max_size=2))
    try:
        return type(message).FromString(bytes(raw))
    except DecodeError:
        return None


def is_value_or_wire_error(message: M | None, from_wire: Callable[[M], object]) -> None:
    if message is not None:
        try:
            from_wire(message)
        except WireError as error:
            assert str(error)  # noqa: PT017  # any other exception fails the test by itself
