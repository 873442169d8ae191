"""Does a batch of records continue an endpoint's chain? Pure: bytes and hashes in, a verdict out.

Invariant: what is accepted makes the log one chain of numbers without a gap, and no stored number ever means two
things. An agent that lost its store begins its chain anew from GENESIS at the number that is expected, and it shows.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from homeostat.wire.v1 import link_pb2
from homeostat_controller.store.events import ChainEnd, LogRow

GENESIS = bytes(32)
Stored = Callable[[Iterable[int]], dict[int, bytes]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The records to store, and where the chain stands after them. `repeated` had been stored before."""

    rows: tuple[LogRow, ...]
    end: ChainEnd
    repeated: int = 0
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Records before these are missing; the agent is told which number is expected."""

    end: ChainEnd


@dataclass(frozen=True, slots=True)
class Broken:
    """These records are none of this chain; nothing of them is stored."""

    reason: str


def judge(request: link_pb2.PushEventsRequest, end: ChainEnd, stored: Stored) -> Accepted | Gap | Broken:
    """Judge a request of an endpoint whose chain stands at `end`; `stored` gives the hashes of records by number."""
    records = request.records
    if not records:
        return Accepted((), end)
    known = [one for one in records if one.sequence < end.next_sequence]
    if why := _flaw(request) or _fork(known, stored):
        return Broken(why)
    if records[0].sequence > end.next_sequence:
        return Gap(end)
    new = records[len(known) :]
    if not new:
        return Accepted((), end, len(known))
    before = known[-1].hash if known else request.previous_hash
    restarted = before != end.head
    if restarted and (known or before != GENESIS):
        return Broken(f"record {new[0].sequence} does not follow from the last one stored")
    rows = tuple(LogRow(request.instance_uid, one.sequence, one.hash, one.body) for one in new)
    return Accepted(rows, ChainEnd(rows[-1].sequence + 1, rows[-1].hash), len(known), restarted)


def _flaw(request: link_pb2.PushEventsRequest) -> str:
    previous, expected = request.previous_hash, request.records[0].sequence
    if expected < 1:
        return "records are numbered from 1"
    for one in request.records:
        if one.sequence != expected:
            return f"record {one.sequence} comes where {expected} should"
        if one.hash != hashlib.sha256(previous + one.sequence.to_bytes(8, "big") + one.body).digest():
            return f"record {one.sequence} does not have the hash that its content gives"
        previous, expected = one.hash, expected + 1
    return ""


def _fork(known: list[link_pb2.EventRecord], stored: Stored) -> str:
    hashes = stored([one.sequence for one in known]) if known else {}
    for one in known:
        if hashes.get(one.sequence, one.hash) != one.hash:
            return f"record {one.sequence} is stored with other content"
    return ""
