import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import grpc
import pytest
from fixtures_link import QUICK

from fakes.link_controller import WAIT_S, Controller, abort, busy, wait_until
from homeostat.wire.v1 import link_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import MESSAGE_BYTES_MAX, connect
from homeostat_agent.decider.link.identity import load_identity
from homeostat_agent.decider.link.outgoing import Outgoing
from homeostat_agent.decider.link.pace import Pace, Surroundings
from homeostat_agent.decider.link.session import HEARTBEAT_S_LEAST, Conversation, Ended, Session


class Held:
    """A session on a thread, with what it received."""

    def __init__(self, config: AgentConfig, surroundings: Surroundings) -> None:
        identity = load_identity(config)
        assert identity is not None
        self.received: list[link_pb2.ControllerMessage] = []
        self.established = 0
        self.ended: Ended | None = None
        self.outgoing = Outgoing(lambda: link_pb2.Hello(agent_version="1"), surroundings.pace.message_s_least)
        self.channel = connect(identity.link_address, identity.authority_pem, identity)
        conversation = Conversation("ep-1", identity.link_address, self.outgoing, self.received.append, self._establish)
        self.session = Session(self.channel, conversation, surroundings)

    def start(self, how: str = "run") -> "Held":
        hold: Callable[[], Ended] = getattr(self.session, how)
        self._thread = threading.Thread(target=lambda: setattr(self, "ended", hold()))
        self._thread.start()
        return self

    def end(self) -> Ended:
        self._thread.join(WAIT_S)
        assert self.ended is not None
        return self.ended

    def _establish(self) -> None:
        self.established += 1


@pytest.fixture
def held(config: AgentConfig, surroundings: Surroundings) -> Iterator[Held]:
    made = Held(config, surroundings)
    yield made
    made.session.cancel()
    made.channel.close()


def paced(config: AgentConfig, surroundings: Surroundings, pace: Pace) -> Held:
    return Held(config, replace(surroundings, pace=pace))


def test_the_first_message_is_full_and_heartbeats_follow(controller: Controller, held: Held) -> None:
    held.outgoing.set_state(link_pb2.EndpointState(health="ok"))
    held.start()
    wait_until(lambda: len(controller.messages) >= 3)
    first, second, third = controller.messages[:3]
    assert (first.hello.agent_version, first.state.health) == ("1", "ok")
    assert [one.sequence_num for one in (first, second, third)] == [1, 2, 3]
    assert not second.HasField("hello")
    assert not second.HasField("state")
    assert controller.peers[0].endswith("/endpoint/ep-1")
    assert held.established == 1


def test_changes_go_up_and_messages_come_down(controller: Controller, held: Held) -> None:
    held.start()
    wait_until(lambda: held.received)
    held.outgoing.set_state(link_pb2.EndpointState(health="healing"))
    wait_until(lambda: any(one.state.health == "healing" for one in controller.messages))
    controller.send(link_pb2.ControllerMessage(denials=[link_pb2.Denial(pack_id="p-1")]))
    wait_until(lambda: any(one.denials for one in held.received))


def test_receipts_are_acknowledged_by_number(controller: Controller, held: Held) -> None:
    held.start()
    wait_until(lambda: held.received)
    held.outgoing.add_receipt(link_pb2.Receipt(id="r-1"))
    wait_until(lambda: any(one.receipts for one in controller.messages))
    carrier = next(one.sequence_num for one in controller.messages if one.receipts)
    wait_until(lambda: any(one.acknowledged_sequence_num >= carrier for one in held.received))
    wait_until(lambda: not held.outgoing.full("ep-1").receipts)


def test_the_controller_sets_the_heartbeat_within_bounds(
    controller: Controller, config: AgentConfig, surroundings: Surroundings
) -> None:
    held = paced(config, surroundings, replace(QUICK, heartbeat_s=60.0)).start()
    wait_until(lambda: held.received)
    message = link_pb2.ControllerMessage()
    message.settings.heartbeat.FromNanoseconds(1)
    controller.send(message)
    wait_until(lambda: held.session._heartbeat_s == HEARTBEAT_S_LEAST)
    held.session.cancel()
    held.channel.close()


def test_asked_for_its_full_state_it_tells_all(controller: Controller, held: Held) -> None:
    held.start()
    wait_until(lambda: held.received)
    controller.send(link_pb2.ControllerMessage(report_full_state=True))
    wait_until(lambda: sum(one.HasField("hello") for one in controller.messages) == 2)


def test_asked_to_come_back_later_it_ends_and_says_when(controller: Controller, held: Held) -> None:
    held.start()
    wait_until(lambda: held.received)
    message = link_pb2.ControllerMessage()
    message.settings.retry_after.FromMilliseconds(2500)
    controller.send(message)
    ended = held.end()
    assert (ended.established, ended.aged, ended.retry_after_s) == (True, False, 2.5)


@pytest.mark.parametrize("how", ["run", "poll"])
def test_a_busy_controller_says_when_to_come_back(controller: Controller, held: Held, how: str) -> None:
    controller.next_time("Session" if how == "run" else "CheckIn", busy(1.5))
    ended = held.start(how).end()
    assert (ended.established, ended.retry_after_s) == (False, 1.5)


def test_the_second_message_waits_for_the_token_that_it_has_to_show(controller: Controller, held: Held) -> None:
    controller.acknowledges = False
    held.start()
    wait_until(lambda: controller.messages)
    held.outgoing.set_state(link_pb2.EndpointState(health="healing"))
    held.outgoing.set_token(b"token")
    controller.send(link_pb2.ControllerMessage(session_token=b"token"))
    wait_until(lambda: len(controller.messages) > 1)
    assert controller.messages[1].session_token == b"token"


def test_of_age_it_ends_well(controller: Controller, config: AgentConfig, surroundings: Surroundings) -> None:
    held = paced(config, surroundings, replace(QUICK, stream_s_least=0.3, stream_s_most=0.4)).start()
    ended = held.end()
    assert (ended.established, ended.aged) == (True, True)
    held.channel.close()


def test_a_controller_that_vanishes_ends_it(controller: Controller, held: Held) -> None:
    held.start()
    wait_until(lambda: held.received)
    controller.vanish()
    ended = held.end()
    assert ended.established
    assert not ended.retry_after_s


def test_a_controller_that_is_not_there_ends_it_before_it_began(controller: Controller, held: Held) -> None:
    controller.vanish()
    ended = held.start().end()
    assert not ended.established
    assert ended.why.endswith("cannot be reached: nothing listens there")


def test_an_oversize_message_ends_it_and_is_not_handled(controller: Controller, held: Held) -> None:
    held.start()
    wait_until(lambda: held.received)
    controller.send(link_pb2.ControllerMessage(session_token=bytes(MESSAGE_BYTES_MAX + 1)))
    ended = held.end()
    assert ended.established
    assert "refused" in ended.why
    assert all(len(one.session_token) < 100 for one in held.received)


@pytest.mark.parametrize("when", ["before", "during"])
def test_cancelled_it_ends_soon(controller: Controller, held: Held, when: str) -> None:
    if when == "before":
        held.session.cancel()
        held.start()
    else:
        held.start()
        wait_until(lambda: held.received)
        held.session.cancel()
        assert held.end().why == "the session was ended"
    held.end()


def test_where_streams_die_the_same_messages_go_over_single_calls(controller: Controller, held: Held) -> None:
    controller.streams_allowed = False
    held.outgoing.set_state(link_pb2.EndpointState(health="ok"))
    held.start("poll")
    wait_until(lambda: len(controller.polls) >= 3)
    assert (controller.polls[0].hello.agent_version, controller.polls[0].state.health) == ("1", "ok")
    assert not controller.polls[1].HasField("hello")
    held.outgoing.set_state(link_pb2.EndpointState(health="healing"))
    wait_until(lambda: any(one.state.health == "healing" for one in controller.polls))
    assert held.established == 1
    held.session.cancel()
    assert held.end().established


def test_a_poll_that_fails_ends_it(controller: Controller, held: Held) -> None:
    controller.next_time("CheckIn", abort(grpc.StatusCode.UNAVAILABLE, "gone"))
    ended = held.start("poll").end()
    assert not ended.established
    assert "gone" in ended.why


def test_polling_is_given_up_for_a_stream_after_a_while(
    controller: Controller, config: AgentConfig, surroundings: Surroundings
) -> None:
    held = paced(config, surroundings, replace(QUICK, stream_s_least=0.2, stream_s_most=0.2, heartbeat_s=0.05)).start(
        "poll"
    )
    ended = held.end()
    assert (ended.established, ended.aged) == (True, True)
    held.channel.close()


def test_a_poll_that_hangs_is_cancelled(controller: Controller, held: Held) -> None:
    controller.poll_hold_s = 1.0
    held.start("poll")
    wait_until(lambda: controller.polls)
    held.session.cancel()
    assert held.end().why == "the session was ended"
