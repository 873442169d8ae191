import threading
from collections.abc import Iterator
from functools import partial
from threading import Event

import grpc
import pytest
from fixtures_link import real_now
from fixtures_signing import Signer
from fixtures_tls import Authority

from fakes.link_controller import WAIT_S, Context, Controller, abort, busy, wait_until
from homeostat.wire.v1 import link_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import Connection
from homeostat_agent.decider.link.identity import Identity, load_identity
from homeostat_agent.decider.link.pace import Surroundings
from homeostat_agent.decider.link.uplink import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, TELEMETRY_RECORDS_MAX, Uplink
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.spool import SpoolState


class Line:
    """An uplink over a connection of its own."""

    def __init__(self, config: AgentConfig, recorder: Recorder, surroundings: Surroundings) -> None:
        identity = load_identity(config)
        assert identity is not None
        self.identity: Identity = identity
        self.recorder = recorder
        self.connection = Connection()
        self.uplink = Uplink(recorder, self.connection, surroundings)
        self.uplink.start()

    def connect(self) -> None:
        self.connection.open(self.identity)
        self.uplink.connected(self.identity)

    def append(self, *bodies: bytes) -> None:
        for body in bodies:
            self.recorder.submit(partial(append, body)).result(WAIT_S)
        self.uplink.wake()

    def state(self) -> SpoolState:
        return self.recorder.submit(lambda stores: stores.spool.state()).result(WAIT_S)

    def stop(self) -> None:
        self.uplink.stop(WAIT_S)
        self.connection.close()


def append(body: bytes, stores: Stores) -> int:
    return stores.spool.append(body, outcome=True)


def append_telemetry(body: bytes, stores: Stores) -> None:
    stores.spool.append_telemetry(body)


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n for n in range(start, start + count)]


@pytest.fixture
def line(config: AgentConfig, recorder: Recorder, surroundings: Surroundings) -> Iterator[Line]:
    made = Line(config, recorder, surroundings)
    yield made
    made.stop()


def all_there(line: Line) -> bool:
    return line.state().records == 0


def test_what_waits_is_delivered_in_order_and_leaves_the_spool(controller: Controller, line: Line) -> None:
    line.append(*numbered(5))
    assert line.state().records == 5
    line.connect()
    wait_until(lambda: all_there(line))
    assert controller.bodies == numbered(5)
    line.append(*numbered(3, 5))
    wait_until(lambda: all_there(line))
    assert controller.bodies == numbered(8)
    assert controller.restarts == 0
    assert {one.instance_uid for one in controller.pushes} == {"ep-1"}


def test_records_that_nobody_announced_are_found(controller: Controller, line: Line) -> None:
    line.connect()
    wait_until(lambda: line.state().anchored)
    line.recorder.submit(partial(append, b"silent")).result(WAIT_S)
    wait_until(lambda: controller.bodies == [b"silent"])


def test_batches_are_bounded(controller: Controller, line: Line) -> None:
    line.append(*(bytes([n]) * (100 << 10) for n in range(12)))
    line.append(*numbered(BATCH_RECORDS_MAX + 1))
    line.connect()
    wait_until(lambda: all_there(line))
    assert len(controller.records) == 12 + BATCH_RECORDS_MAX + 1
    for one in controller.pushes:
        assert len(one.records) <= BATCH_RECORDS_MAX
        assert sum(len(record.body) for record in one.records) <= BATCH_BYTES_MAX
        assert one.ByteSize() <= 512 << 10


def test_telemetry_goes_along_and_drops_are_told(controller: Controller, line: Line) -> None:
    sent = [link_pb2.Telemetry(values={"cpu": n}) for n in range(TELEMETRY_RECORDS_MAX + 5)]
    for body in [*(one.SerializeToString() for one in sent), bytes(2 << 20)]:
        line.recorder.submit(partial(append_telemetry, body)).result(WAIT_S)
    line.connect()
    wait_until(lambda: len(controller.telemetry) == len(sent))
    assert [one.values["cpu"] for one in controller.telemetry] == list(range(TELEMETRY_RECORDS_MAX + 5))
    assert controller.pushes[-1].telemetry_dropped == 1
    wait_until(lambda: line.state().telemetry_bytes == 0)


FAULTS: dict[str, tuple[bool, grpc.StatusCode]] = {
    "torn before it is stored": (False, grpc.StatusCode.UNAVAILABLE),
    "torn after it is stored": (True, grpc.StatusCode.UNAVAILABLE),
    "refused for a while": (False, grpc.StatusCode.RESOURCE_EXHAUSTED),
    "late": (True, grpc.StatusCode.DEADLINE_EXCEEDED),
    "broken": (True, grpc.StatusCode.INTERNAL),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_that_fails_is_repeated_and_nothing_is_stored_twice(
    controller: Controller, line: Line, fault: str
) -> None:
    after, code = FAULTS[fault]
    line.append(*numbered(4))
    for _ in range(3):
        controller.next_time("PushEvents", abort(code), after=after)
    line.connect()
    wait_until(lambda: all_there(line))
    assert controller.bodies == numbered(4)
    assert controller.restarts == 0


def test_a_connection_torn_in_the_middle_of_a_batch_loses_nothing(controller: Controller, line: Line) -> None:
    line.append(*numbered(4))
    line.connect()
    wait_until(lambda: all_there(line))
    reached, release = threading.Event(), threading.Event()

    def hang(_: Context) -> None:
        reached.set()
        release.wait(WAIT_S)

    controller.next_time("PushEvents", hang, after=True)
    line.append(*numbered(4, 4))
    assert reached.wait(WAIT_S)
    vanish = threading.Thread(target=controller.vanish)
    vanish.start()
    release.set()
    vanish.join(WAIT_S)
    line.append(*numbered(2, 8))
    assert line.state().records > 0
    controller.start()
    line.connect()
    wait_until(lambda: all_there(line))
    assert controller.bodies == numbered(10)
    assert controller.restarts == 0


def test_without_a_connection_nothing_is_tried_and_all_is_kept(controller: Controller, line: Line) -> None:
    line.append(*numbered(3))
    line.connect()
    wait_until(lambda: all_there(line))
    line.connection.close()
    line.append(*numbered(3, 3))
    line.uplink.wake()
    assert line.state().records == 3
    line.connect()
    wait_until(lambda: all_there(line))
    assert controller.bodies == numbered(6)


def answering(next_sequence: int = 0, retry_after_s: float = 0.0) -> link_pb2.PushEventsResponse:
    answer = link_pb2.PushEventsResponse(next_sequence=next_sequence)
    if retry_after_s:
        answer.retry_after.FromNanoseconds(int(retry_after_s * 1e9))
    return answer


def test_asked_to_wait_it_waits(controller: Controller, line: Line) -> None:
    line.connect()
    wait_until(lambda: line.state().anchored)
    controller.next_answers.append(answering(retry_after_s=3600.0))
    line.append(b"first")
    wait_until(lambda: all_there(line))
    line.append(b"second")
    line.uplink.wake()
    line.uplink.stop(WAIT_S)  # it does not hold up the end
    assert controller.bodies == [b"first"]


def test_a_busy_controller_is_left_alone_for_as_long_as_it_says(controller: Controller, line: Line) -> None:
    line.connect()
    wait_until(lambda: line.state().anchored)
    controller.next_time("PushEvents", busy(3600.0))
    line.append(b"first")
    wait_until(lambda: not controller.before["PushEvents"])
    line.uplink.wake()
    line.uplink.stop(WAIT_S)
    assert controller.bodies == []


@pytest.mark.parametrize("said", ["", "soon", "-5", "1"])
def test_an_odd_wish_of_a_busy_controller_is_none(controller: Controller, line: Line, said: str) -> None:
    controller.next_time("PushEvents", busy(said))
    line.append(b"first")
    line.connect()
    wait_until(lambda: all_there(line))


def test_an_answer_that_names_no_number_changes_nothing(controller: Controller, line: Line) -> None:
    line.connect()
    wait_until(lambda: line.state().anchored)
    controller.deaf_pushes = 3
    line.append(*numbered(3))
    wait_until(lambda: controller.deaf_pushes == 0)
    wait_until(lambda: all_there(line))
    assert controller.bodies == numbered(3)


def test_a_new_store_of_a_known_endpoint_goes_on_where_the_controller_is(
    controller: Controller, line: Line, config: AgentConfig, surroundings: Surroundings
) -> None:
    line.append(*numbered(5))
    line.connect()
    wait_until(lambda: all_there(line))
    line.stop()

    fresh = Recorder(line.recorder._path.with_name("fresh.db"), 4 << 20, real_now)
    fresh.start()
    second = Line(config, fresh, surroundings)
    second.append(*numbered(3, 5))
    second.connect()
    wait_until(lambda: all_there(second))
    assert controller.bodies[:8] == numbered(8)
    assert controller.restarts == 1
    assert notices(controller) == ["spool-renumbered"]
    assert second.state().next == 10
    second.stop()
    fresh.stop()


def notices(controller: Controller) -> list[str]:
    found = []
    for body in controller.bodies:
        try:
            found.append(link_pb2.Event.FromString(body).notice.code)
        except Exception:  # noqa: BLE001, S112  # the other records here are plain numbers
            continue
    return [one for one in found if one]


@pytest.mark.parametrize("kept", [0, 2])
def test_a_controller_put_back_to_an_earlier_state_gets_all_that_waits(
    controller: Controller, line: Line, kept: int
) -> None:
    line.append(*numbered(5))
    line.connect()
    wait_until(lambda: all_there(line))
    del controller.records[kept:]
    line.append(*numbered(3, 5))
    wait_until(lambda: all_there(line))
    assert controller.bodies[:kept] == numbered(kept)
    assert controller.bodies[kept : kept + 3] == numbered(3, 5)
    assert notices(controller) == ["spool-renumbered"]
    assert [one.sequence for one in controller.records] == list(range(1, kept + 5))


def test_an_endpoint_put_back_to_an_earlier_state_loses_nothing_new(controller: Controller, line: Line) -> None:
    line.append(*numbered(2))
    line.connect()
    wait_until(lambda: all_there(line))
    line.connection.close()
    # What another life of this store delivered, after the state that this one has.
    for body in numbered(3, 100):
        sequence = len(controller.records) + 1
        controller.records.append(link_pb2.EventRecord(sequence=sequence, body=body, hash=b"of another life"))
    line.append(*numbered(2, 2))
    line.connect()
    wait_until(lambda: all_there(line))
    assert controller.bodies[:5] == [*numbered(2), *numbered(3, 100)]
    assert controller.bodies[5:7] == numbered(2, 2)
    assert notices(controller) == ["spool-renumbered"]


def test_another_identity_numbers_from_where_its_controller_is(
    line: Line, authority: Authority, signer: Signer, controller: Controller
) -> None:
    line.append(*numbered(3))
    line.connect()
    wait_until(lambda: all_there(line))
    line.append(*numbered(1, 3))
    wait_until(lambda: all_there(line))
    controller.records.clear()
    line.connection.close()
    line.append(*numbered(2, 4))
    line.connection.open(line.identity)
    line.uplink._endpoint_id = "ep-2"
    line.uplink.wake()
    wait_until(lambda: all_there(line))
    assert controller.bodies[:2] == numbered(2, 4)
    assert [one.sequence for one in controller.records] == [1, 2, 3]
    assert controller.pushes[-1].instance_uid == "ep-2"


def test_it_stops_while_a_call_hangs(controller: Controller, line: Line) -> None:
    reached, release = threading.Event(), threading.Event()

    def hang(_: Context) -> None:
        reached.set()
        release.wait(WAIT_S)

    controller.next_time("PushEvents", hang)
    line.connect()
    assert reached.wait(WAIT_S)
    line.uplink.stop(WAIT_S)
    assert not line.uplink._thread.is_alive()
    release.set()


def test_a_channel_before_its_session_is_not_used_and_the_numbers_stay(
    controller: Controller, line: Line, surroundings: Surroundings
) -> None:
    # A restarted agent records something while its session is still being agreed on.
    line.append(*numbered(2))
    line.connect()
    wait_until(lambda: all_there(line))
    line.stop()
    again = Line.__new__(Line)
    again.identity, again.recorder, again.connection = line.identity, line.recorder, Connection()
    again.uplink = Uplink(line.recorder, again.connection, surroundings)
    again.uplink.start()
    try:
        again.connection.open(again.identity)
        again.append(b"2")
        # Time in which it would have been sent; nothing says that it was not, so there is nothing to wait for.
        Event().wait(0.5)
        again.uplink.connected(again.identity)
        wait_until(lambda: all_there(again))
        assert controller.bodies == numbered(3)
        assert again.state().next == 4
        assert {push.instance_uid for push in controller.pushes} == {line.identity.endpoint_id}
    finally:
        again.stop()
