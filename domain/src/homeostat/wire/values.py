"""Times, numbers, words and required fields on the wire.

Wire times are UTC and finer than ours: what is below a microsecond is cut off.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

E = TypeVar("E", bound=StrEnum)
K = TypeVar("K")
V = TypeVar("V")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NANOS_MAX = 999_999_999
# The bound that protobuf itself sets on a Duration: ten thousand years.
_DURATION_SECONDS_MAX = 315_576_000_000


class WireError(ValueError):
    """A message is no valid value; the message says which field, and why."""


def moment_to_wire(moment: datetime) -> Timestamp:
    """Return an aware time as UTC; ValueError for a naive one."""
    if moment.utcoffset() is None:
        raise ValueError("a time without its zone cannot be sent")
    seconds, micros = divmod((moment - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def moment_from_wire(message: Message, field: str) -> datetime:
    """Return the time in `field`, in UTC; WireError if it is missing or outside the calendar."""
    stamp = part(message, field, Timestamp)
    if not 0 <= stamp.nanos <= _NANOS_MAX:
        raise WireError(f"{field}: no valid time")
    try:
        return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError:
        raise WireError(f"{field}: no valid time") from None


def optional_moment_from_wire(message: Message, field: str) -> datetime | None:
    """Return the time in `field`, or None where it is absent."""
    return moment_from_wire(message, field) if message.HasField(field) else None


def duration_to_wire(duration: timedelta) -> Duration:
    """Return a duration of either sign."""
    seconds, micros = divmod(abs(duration) // _MICROSECOND, 1_000_000)
    sign = -1 if duration < timedelta() else 1
    return Duration(seconds=sign * seconds, nanos=sign * micros * 1000)


def duration_from_wire(message: Message, field: str) -> timedelta:
    """Return the duration in `field`; WireError if it is missing or not as protobuf defines durations."""
    wire = part(message, field, Duration)
    mixed = wire.seconds * wire.nanos < 0
    if mixed or abs(wire.seconds) > _DURATION_SECONDS_MAX or abs(wire.nanos) > _NANOS_MAX:
        raise WireError(f"{field}: no valid duration")
    return timedelta(seconds=wire.seconds, microseconds=int(wire.nanos / 1000))


P = TypeVar("P", bound=Message)


def part(message: Message, field: str, kind: type[P]) -> P:
    """Return a message field that must be there."""
    if not message.HasField(field):
        raise WireError(f"{field}: is missing")
    found = getattr(message, field)
    if not isinstance(found, kind):
        raise TypeError(f"{field} is no {kind.__name__}")
    return found


def text(value: str, field: str) -> str:
    """Return a text that must not be empty."""
    if not value:
        raise WireError(f"{field}: is missing")
    return value


def finite(value: float, field: str) -> float:
    """Return a number that must be finite."""
    if not isfinite(value):
        raise WireError(f"{field}: is not a finite number")
    return value


def share(value: float, field: str) -> float:
    """Return a number that must lie from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise WireError(f"{field}: is not from 0 to 1")
    return value


def word(kind: type[E], value: str, field: str) -> E:
    """Return the member of `kind` that is written `value`."""
    try:
        return kind(value)
    except ValueError:
        raise WireError(f"{field}: {value[:60]!r} is not known here") from None


def member(known: Mapping[int, V], value: int, field: str) -> V:
    """Return what an enum's number stands for; unspecified and newer numbers stand for nothing."""
    if value not in known:
        raise WireError(f"{field}: {value} is not known here")
    return known[value]


def unique(pairs: Iterable[tuple[K, V]], field: str) -> dict[K, V]:
    """Return a dict; WireError where two pairs have one key, because one of them would silently be lost."""
    found: dict[K, V] = {}
    for key, value in pairs:
        if key in found:
            raise WireError(f"{field}: {str(key)[:60]!r} is there twice")
        found[key] = value
    return found
