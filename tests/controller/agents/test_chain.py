"""Does a batch continue the chain? Every way it may, and every way it may not."""

from collections.abc import Iterable

import pytest
from fixtures_controller import Chain
from hypothesis import given
from hypothesis import strategies as st

from homeostat.wire.v1 import link_pb2
from homeostat_controller.agents.chain import GENESIS, Accepted, Broken, Gap, judge
from homeostat_controller.store.events import ChainEnd


def chain_of(count: int) -> Chain:
    chain = Chain()
    for number in range(count):
        chain.add(f"body {number}".encode())
    return chain


def stored_of(chain: Chain) -> dict[int, bytes]:
    return {one.sequence: one.hash for one in chain.records}


def judged(request: link_pb2.PushEventsRequest, end: ChainEnd, known: Chain | None = None) -> Accepted | Gap | Broken:
    have = stored_of(known) if known else {}

    def stored(sequences: Iterable[int]) -> dict[int, bytes]:
        return {one: have[one] for one in sequences if one in have}

    return judge(request, end, stored)


def end_of(chain: Chain, after: int) -> ChainEnd:
    return ChainEnd(after + 1, chain.records[after - 1].hash if after else GENESIS)


def test_the_first_records_and_those_that_follow() -> None:
    chain = chain_of(5)
    first = judged(chain.push(1, 3), ChainEnd(1, GENESIS))
    assert isinstance(first, Accepted)
    assert ([row.sequence for row in first.rows], first.end) == ([1, 2, 3], end_of(chain, 3))
    rest = judged(chain.push(4), first.end, chain)
    assert isinstance(rest, Accepted)
    assert (rest.end, rest.repeated, rest.restarted) == (ChainEnd(6, chain.head), 0, False)


def test_an_empty_batch_asks_where_to_go_on() -> None:
    assert judged(link_pb2.PushEventsRequest(), ChainEnd(7, b"h" * 32)) == Accepted((), ChainEnd(7, b"h" * 32))


def test_repeats_are_known_and_what_is_new_behind_them_is_taken() -> None:
    chain = chain_of(5)
    verdict = judged(chain.push(2), end_of(chain, 3), chain)
    assert isinstance(verdict, Accepted)
    assert ([row.sequence for row in verdict.rows], verdict.repeated) == ([4, 5], 2)
    again = judged(chain.push(1, 3), end_of(chain, 3), chain)
    assert again == Accepted((), end_of(chain, 3), 3)


def test_a_gap_is_answered_with_what_is_expected() -> None:
    chain = chain_of(5)
    assert judged(chain.push(4), end_of(chain, 2), chain) == Gap(end_of(chain, 2))


def test_a_chain_that_begins_anew_at_the_expected_number_is_taken_and_shows_it() -> None:
    old = chain_of(3)
    fresh = Chain(next_sequence=4)
    fresh.add(b"after the store was lost")
    verdict = judged(fresh.push(4), end_of(old, 3), old)
    assert isinstance(verdict, Accepted)
    assert verdict.restarted
    assert verdict.end == ChainEnd(5, fresh.head)


def test_another_history_under_known_numbers_is_a_fork() -> None:
    ours, theirs = chain_of(4), Chain()
    for number in range(6):
        theirs.add(f"another body {number}".encode())
    verdict = judged(theirs.push(3), end_of(ours, 4), ours)
    assert isinstance(verdict, Broken)
    assert "stored with other content" in verdict.reason


def test_records_that_do_not_follow_the_last_one_are_refused() -> None:
    ours, theirs = chain_of(4), Chain()
    for number in range(6):
        theirs.add(f"another body {number}".encode())
    verdict = judged(theirs.push(5), end_of(ours, 4), ours)
    assert verdict == Broken("record 5 does not follow from the last one stored")


def test_known_records_followed_by_a_fresh_start_are_refused() -> None:
    """A repeat proves that the store is there, so there is no reason to begin anew behind it."""
    ours = chain_of(4)
    request = ours.push(4)
    fresh = Chain(next_sequence=5)
    request.records.append(fresh.add(b"anew"))
    assert isinstance(judged(request, end_of(ours, 4), ours), Broken)


def mutations() -> list[tuple[str, link_pb2.PushEventsRequest]]:
    def changed(**_: object) -> link_pb2.PushEventsRequest:
        return chain_of(4).push()

    body, digest, order, number, missing, before, zero = (changed() for _ in range(7))
    body.records[2].body += b"!"
    digest.records[2].hash = bytes(32)
    order.records[1].CopyFrom(order.records[2])
    number.records[0].sequence = 2
    del missing.records[1]
    before.previous_hash = b"x" * 32
    zero.records[0].sequence = 0
    every = (body, digest, order, number, missing, before, zero)
    return list(zip(("body", "hash", "order", "number", "missing", "before", "zero"), every, strict=True))


@pytest.mark.parametrize(("name", "request_"), mutations())
def test_a_forged_batch_is_refused_whole(name: str, request_: link_pb2.PushEventsRequest) -> None:
    assert isinstance(judged(request_, ChainEnd(1, GENESIS)), Broken), name


@given(position=st.integers(0, 3), byte=st.integers(0, 31), flip=st.integers(1, 255))
def test_any_changed_hash_is_found(position: int, byte: int, flip: int) -> None:
    request = chain_of(4).push()
    changed = bytearray(request.records[position].hash)
    changed[byte] ^= flip
    request.records[position].hash = bytes(changed)
    assert isinstance(judged(request, ChainEnd(1, GENESIS)), Broken)


@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_however_it_is_cut_and_repeated_each_record_is_stored_once(cuts: list[int]) -> None:
    chain, end, stored = chain_of(12), ChainEnd(1, GENESIS), Chain()
    for cut in (*cuts, 12):
        verdict = judged(chain.push(max(1, end.next_sequence - 2), cut), end, stored)
        assert not isinstance(verdict, Broken)
        end = verdict.end
        if isinstance(verdict, Accepted):
            stored.records += [one for one in chain.records if one.sequence in {row.sequence for row in verdict.rows}]
    assert [one.sequence for one in stored.records] == list(range(1, 13))
    assert end == ChainEnd(13, chain.head)
