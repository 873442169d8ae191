import threading
from datetime import UTC, datetime

from homeostat_agent.decider.watching.events import EventQueue, ProcessExited

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def event(number: int) -> ProcessExited:
    return ProcessExited("web", number, NOW)


def test_events_come_out_in_their_order() -> None:
    queue = EventQueue()
    queue.put(event(1))
    queue.put(event(2))
    assert queue.get(0) == event(1)
    assert queue.drain() == (event(2),)
    assert queue.drain() == ()
    assert queue.get(0) is None
    assert queue.get(-1) is None


def test_a_full_queue_counts_what_it_drops_and_never_blocks() -> None:
    queue = EventQueue(events_max=2)
    for number in range(5):
        queue.put(event(number))
    assert queue.dropped == 3
    assert queue.drain() == (event(0), event(1))
    queue.put(event(9))
    assert queue.dropped == 3
    assert queue.get(0) == event(9)


def test_whoever_waits_is_woken_by_another_thread() -> None:
    queue = EventQueue()
    found: list[object] = []
    waiter = threading.Thread(target=lambda: found.append(queue.get(10)))
    waiter.start()
    queue.put(event(7))
    waiter.join()
    assert found == [event(7)]


def test_the_bound_holds_with_several_writers() -> None:
    queue = EventQueue(events_max=100)

    def write() -> None:
        for number in range(100):
            queue.put(event(number))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert len(queue.drain()) == 100
    assert queue.dropped == 300
