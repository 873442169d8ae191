import threading

from fakes.actuator_rig import until
from homeostat.wire.v1 import actuation_pb2
from homeostat_agent.actuator.inbox import MESSAGES_MAX, Connected, Inbox, Stop, Tidy


def stored(run_id: str) -> actuation_pb2.DeciderMessage:
    return actuation_pb2.DeciderMessage(outcome_stored=actuation_pb2.OutcomeStored(run_id=run_id))


def test_items_come_out_in_the_order_they_went_in() -> None:
    inbox = Inbox()
    items = (Connected(), stored("a"), Tidy(), stored("b"), Stop())
    for item in items:
        if isinstance(item, actuation_pb2.DeciderMessage):
            inbox.put_message(item)
        else:
            inbox.put_event(item)
    assert tuple(inbox.take(1.0) for _ in items) == items


def test_an_empty_line_is_waited_for_and_no_longer() -> None:
    inbox = Inbox()
    assert inbox.take(0.0) is None
    assert inbox.take(0.01) is None
    threading.Timer(0.01, inbox.put_event, (Stop(),)).start()
    assert inbox.take(None) == Stop()


def test_so_many_messages_fit_and_the_next_waits_for_room() -> None:
    inbox = Inbox()
    for number in range(MESSAGES_MAX):
        inbox.put_message(stored(str(number)))
    arrived = threading.Event()

    def one_more() -> None:
        inbox.put_message(stored("one more"))
        arrived.set()

    threading.Thread(target=one_more, daemon=True).start()
    assert not arrived.wait(0.05)
    inbox.put_event(Tidy())  # an event needs no room
    assert inbox.take(1.0) == stored("0")
    until("there is room", arrived.is_set)


def test_events_give_no_room() -> None:
    inbox = Inbox()
    for _ in range(MESSAGES_MAX):
        inbox.put_event(Tidy())
    for _ in range(MESSAGES_MAX):
        inbox.take(1.0)
    for number in range(MESSAGES_MAX):
        inbox.put_message(stored(str(number)))
    blocked = threading.Thread(target=inbox.put_message, args=(stored("one more"),), daemon=True)
    blocked.start()
    blocked.join(0.05)
    assert blocked.is_alive()
    inbox.take(1.0)
    blocked.join(10)
    assert not blocked.is_alive()
