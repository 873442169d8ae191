from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from domain_strategies import moments
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from homeostat.wire import values
from homeostat.wire.v1 import incident_pb2, policy_pb2
from homeostat.wire.values import WireError

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


def signal(seconds: int, nanos: int = 0) -> incident_pb2.Signal:
    return incident_pb2.Signal(at=Timestamp(seconds=seconds, nanos=nanos))


def playbook(seconds: int, nanos: int = 0) -> policy_pb2.Playbook:
    return policy_pb2.Playbook(settle=Duration(seconds=seconds, nanos=nanos))


@given(moments | st.sampled_from((EARLIEST, LATEST)))
def test_a_moment_comes_back(moment: datetime) -> None:
    message = incident_pb2.Signal(at=values.moment_to_wire(moment))
    back = values.moment_from_wire(message, "at")
    assert back == moment
    assert back.tzinfo is UTC


def test_a_moment_before_1970_is_as_protobuf_writes_it() -> None:
    stamp = values.moment_to_wire(datetime(1969, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC))
    assert (stamp.seconds, stamp.nanos) == (-1, 250_000_000)
    assert stamp == Timestamp(seconds=-1, nanos=250_000_000)


def test_what_is_finer_than_a_microsecond_is_cut_off() -> None:
    assert values.moment_from_wire(signal(0, 1999), "at").microsecond == 1
    assert values.duration_from_wire(playbook(0, -1999), "settle") == timedelta(microseconds=-1)


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    moment = datetime(2030, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert values.moment_to_wire(moment) == values.moment_to_wire(moment.astimezone(UTC))


def test_a_moment_without_its_zone_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="without its zone"):
        values.moment_to_wire(datetime(2030, 1, 31, tzinfo=UTC).replace(tzinfo=None))


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(0, -1), (0, 10**9), (2**62, 0), (-(2**62), 0), (253_402_300_800, 0), (-62_135_596_801, 0)]
)
def test_no_moment(seconds: int, nanos: int) -> None:
    with pytest.raises(WireError, match="at: no valid time"):
        values.moment_from_wire(signal(seconds, nanos), "at")


def test_a_missing_moment() -> None:
    with pytest.raises(WireError, match="at: is missing"):
        values.moment_from_wire(incident_pb2.Signal(), "at")
    assert values.optional_moment_from_wire(incident_pb2.Signal(), "at") is None


# The most that protobuf allows, which is more than any policy does.
durations = st.timedeltas(-timedelta(days=3_652_500), timedelta(days=3_652_500))


@given(durations)
def test_a_duration_comes_back(duration: timedelta) -> None:
    wire = values.duration_to_wire(duration)
    assert wire.ToTimedelta() == duration
    assert values.duration_from_wire(policy_pb2.Playbook(settle=wire), "settle") == duration


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(1, -1), (-1, 1), (315_576_000_001, 0), (-315_576_000_001, 0), (0, 10**9), (2**62, 0)]
)
def test_no_duration(seconds: int, nanos: int) -> None:
    with pytest.raises(WireError, match="settle: no valid duration"):
        values.duration_from_wire(playbook(seconds, nanos), "settle")


def test_a_missing_duration() -> None:
    with pytest.raises(WireError, match="settle: is missing"):
        values.duration_from_wire(policy_pb2.Playbook(), "settle")


def test_a_part_of_the_wrong_kind_is_a_bug_of_the_caller() -> None:
    with pytest.raises(TypeError, match="at is no Duration"):
        values.part(signal(0), "at", Duration)


class Colour(StrEnum):
    RED = "red"


def test_words() -> None:
    assert values.word(Colour, "red", "colour") is Colour.RED
    with pytest.raises(WireError, match="colour: 'blue' is not known here"):
        values.word(Colour, "blue", "colour")
    with pytest.raises(WireError) as caught:
        values.word(Colour, "x" * 9999, "colour")
    assert len(str(caught.value)) < 100


def test_members() -> None:
    assert values.member({1: "a"}, 1, "kind") == "a"
    for unknown in (0, 2):
        with pytest.raises(WireError, match=f"kind: {unknown} is not known here"):
            values.member({1: "a"}, unknown, "kind")


def test_texts_and_numbers() -> None:
    assert values.text("a", "name") == "a"
    with pytest.raises(WireError, match="name: is missing"):
        values.text("", "name")
    assert values.finite(-1.5, "value") == -1.5
    assert (values.share(0.0, "share"), values.share(1.0, "share")) == (0.0, 1.0)
    for number in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(WireError, match="value: is not a finite number"):
            values.finite(number, "value")
        with pytest.raises(WireError, match="share: is not from 0 to 1"):
            values.share(number, "share")


def test_nothing_is_lost_by_having_one_name_twice() -> None:
    assert values.unique([("a", 1), ("b", 2)], "rules") == {"a": 1, "b": 2}
    with pytest.raises(WireError, match="rules: 'a' is there twice"):
        values.unique([("a", 1), ("a", 1)], "rules")
