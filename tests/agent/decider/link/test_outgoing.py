import threading
import time

from fakes.link_controller import wait_until
from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider.link.outgoing import RECEIPTS_MAX, Outgoing

LONG_S = 60.0


def hello() -> link_pb2.Hello:
    return link_pb2.Hello(agent_version="1")


def fresh(message_s_least: float = 0.0) -> Outgoing:
    return Outgoing(hello, message_s_least)


def state(health: str = "ok", **values: float) -> link_pb2.EndpointState:
    return link_pb2.EndpointState(health=health, metrics=values)


def following(outgoing: Outgoing, wait_s: float = 0.0) -> link_pb2.AgentMessage:
    message = outgoing.next("ep-1", wait_s, threading.Event())
    assert message is not None
    return message


def receipts(message: link_pb2.AgentMessage) -> list[str]:
    return [one.id for one in message.receipts]


def test_the_first_message_carries_everything_and_numbers_rise() -> None:
    outgoing = fresh()
    outgoing.set_state(state("degraded"))
    outgoing.set_policy(link_pb2.PolicyStatus(active=link_pb2.PolicyRef(name="web")))
    outgoing.add_receipt(link_pb2.Receipt(id="r-1"))
    outgoing.set_token(b"token")
    first = outgoing.full("ep-1")
    assert (first.instance_uid, first.sequence_num, first.session_token) == ("ep-1", 1, b"token")
    assert (first.hello.agent_version, first.state.health, first.policy.active.name) == ("1", "degraded", "web")
    assert receipts(first) == ["r-1"]
    assert outgoing.full("ep-1").sequence_num == 2


def test_without_a_state_yet_there_is_none_in_it() -> None:
    first = fresh().full("ep-1")
    assert first.HasField("hello")
    assert not first.HasField("state")
    assert not first.HasField("policy")


def test_later_messages_carry_what_changed() -> None:
    outgoing = fresh()
    outgoing.set_state(state())
    outgoing.full("ep-1")
    assert not following(outgoing).HasField("state")
    outgoing.set_state(state(cpu=1.0))
    message = following(outgoing)
    assert message.state.metrics["cpu"] == 1.0
    assert not message.HasField("hello")
    assert not message.HasField("policy")
    outgoing.set_policy(link_pb2.PolicyStatus(active=link_pb2.PolicyRef(name="web")))
    message = following(outgoing)
    assert message.policy.active.name == "web"
    assert not message.HasField("state")


def goes_out_at_once(outgoing: Outgoing) -> bool:
    """Whether there is a message long before the heartbeat."""
    got: list[link_pb2.AgentMessage | None] = []
    ended = threading.Event()
    thread = threading.Thread(target=lambda: got.append(outgoing.next("ep-1", LONG_S, ended)))
    thread.start()
    thread.join(0.15)
    at_once = not thread.is_alive()
    ended.set()
    outgoing.wake()
    thread.join()
    return at_once


def test_numbers_alone_wait_for_the_heartbeat_and_the_rest_does_not() -> None:
    outgoing = fresh()
    outgoing.set_state(state("ok", cpu=1.0))
    outgoing.full("ep-1")
    outgoing.set_state(state("ok", cpu=2.0))
    assert not goes_out_at_once(outgoing)
    outgoing.set_state(state("degraded", cpu=2.0))
    assert goes_out_at_once(outgoing)
    status = link_pb2.PolicyStatus(active=link_pb2.PolicyRef(name="web"))
    outgoing.set_policy(status)
    assert goes_out_at_once(outgoing)
    outgoing.set_policy(status)
    assert not goes_out_at_once(outgoing)
    outgoing.add_receipt(link_pb2.Receipt(id="r"))
    assert goes_out_at_once(outgoing)
    outgoing.tell_all()
    assert goes_out_at_once(outgoing)


def test_a_change_wakes_whoever_waits() -> None:
    outgoing = fresh()
    outgoing.full("ep-1")
    got: list[link_pb2.AgentMessage | None] = []
    thread = threading.Thread(target=lambda: got.append(outgoing.next("ep-1", LONG_S, threading.Event())))
    thread.start()
    outgoing.set_state(state("healing"))
    thread.join(LONG_S)
    assert got[0] is not None
    assert got[0].state.health == "healing"


def test_two_messages_are_kept_apart_whatever_changes() -> None:
    outgoing = fresh(message_s_least=0.2)
    outgoing.full("ep-1")
    begun = time.monotonic()
    outgoing.set_state(state("healing"))
    following(outgoing, LONG_S)
    assert time.monotonic() - begun >= 0.15


def test_an_ended_session_gets_nothing_and_takes_nothing() -> None:
    outgoing = fresh()
    outgoing.full("ep-1")
    outgoing.set_state(state("healing"))
    ended = threading.Event()
    ended.set()
    assert outgoing.next("ep-1", LONG_S, ended) is None
    assert following(outgoing).state.health == "healing"


def test_receipts_go_once_in_a_session_and_again_in_the_next_until_acknowledged() -> None:
    outgoing = fresh()
    outgoing.full("ep-1")
    outgoing.add_receipt(link_pb2.Receipt(id="r-1"))
    first = following(outgoing)
    outgoing.add_receipt(link_pb2.Receipt(id="r-2"))
    assert receipts(first) == ["r-1"]
    assert receipts(following(outgoing)) == ["r-2"]
    assert receipts(following(outgoing)) == []
    outgoing.acknowledge(first.sequence_num)
    again = outgoing.full("ep-1")
    assert receipts(again) == ["r-2"]
    outgoing.acknowledge(again.sequence_num)
    assert receipts(outgoing.full("ep-1")) == []


def test_a_receipt_that_was_never_sent_is_not_acknowledged() -> None:
    outgoing = fresh()
    first = outgoing.full("ep-1")
    outgoing.add_receipt(link_pb2.Receipt(id="r-1"))
    outgoing.acknowledge(first.sequence_num)
    assert receipts(following(outgoing)) == ["r-1"]


def test_receipts_are_bounded() -> None:
    outgoing = fresh()
    for n in range(RECEIPTS_MAX + 1):
        outgoing.add_receipt(link_pb2.Receipt(id=str(n)))
    assert receipts(outgoing.full("ep-1")) == [str(n) for n in range(1, RECEIPTS_MAX + 1)]


def test_asked_for_all_the_next_message_is_a_full_one() -> None:
    outgoing = fresh()
    outgoing.set_state(state("ok"))
    outgoing.full("ep-1")
    outgoing.tell_all()
    message = following(outgoing)
    assert message.hello.agent_version == "1"
    assert message.state.health == "ok"
    assert not following(outgoing).HasField("hello")


def test_many_threads_may_change_it_while_one_tells() -> None:
    outgoing = fresh()
    outgoing.full("ep-1")

    def change() -> None:
        for n in range(200):
            outgoing.set_state(state(str(n)))

    threads = [threading.Thread(target=change) for _ in range(3)]
    for one in threads:
        one.start()
    numbers = [following(outgoing).sequence_num for _ in range(200)]
    for one in threads:
        one.join()
    assert numbers == list(range(2, 202))
    wait_until(lambda: following(outgoing).sequence_num > 202)
