import threading

from fakes.decider_stage import NOW
from homeostat_agent.decider.inbox import TOLD_MAX, WATCH_EVENTS_MAX, ActuatorGone, Inbox, Stop
from homeostat_agent.decider.watching.events import ProcessExited

EXIT = ProcessExited("web", 7, NOW)


def test_items_come_in_the_order_in_which_they_were_put() -> None:
    inbox = Inbox()
    inbox.tell(ActuatorGone("x"))
    inbox.put(EXIT)
    inbox.tell_now(Stop())
    assert [inbox.take(0), inbox.take(0), inbox.take(0), inbox.take(0)] == [ActuatorGone("x"), EXIT, Stop(), None]


def test_a_watcher_never_waits_and_what_finds_no_room_is_counted() -> None:
    inbox = Inbox()
    for _ in range(WATCH_EVENTS_MAX + 3):
        inbox.put(EXIT)
    assert inbox.dropped == 3
    assert inbox.take(0) == EXIT
    inbox.put(EXIT)
    assert inbox.dropped == 3


def test_whoever_tells_waits_for_room() -> None:
    inbox = Inbox()
    for n in range(TOLD_MAX):
        inbox.tell(ActuatorGone(str(n)))
    told = threading.Event()

    def tell() -> None:
        inbox.tell(ActuatorGone("last"))
        told.set()

    thread = threading.Thread(target=tell)
    thread.start()
    assert not told.wait(0.05)
    assert inbox.take(0) == ActuatorGone("0")
    assert told.wait(10)
    thread.join(10)


def test_waiting_has_an_end() -> None:
    assert Inbox().take(0.01) is None
    assert Inbox().take(-1.0) is None
