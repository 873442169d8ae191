import select

from homeostat_agent.decider.watching.wakeup import WakeUp


def readable(one: WakeUp) -> bool:
    return bool(select.select([one], [], [], 0)[0])


def test_woken_until_it_is_noted() -> None:
    wake = WakeUp()
    assert not readable(wake)
    wake.wake()
    wake.wake()
    assert readable(wake)
    wake.clear()
    assert not readable(wake)
    wake.clear()
    wake.close()


def test_waking_never_blocks_however_often_and_after_the_end() -> None:
    wake = WakeUp()
    for _ in range(100_000):
        wake.wake()
    assert readable(wake)
    wake.close()
    wake.wake()
