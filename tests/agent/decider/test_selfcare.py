import os
from itertools import count
from pathlib import Path

import pytest

from homeostat_agent.decider.selfcare import (
    CPU_PERCENT_MAX,
    CPU_WINDOW_S,
    DISK_FREE_BYTES_LEAST,
    RSS_BYTES_FATAL,
    RSS_BYTES_MAX,
    SLOWER_MAX,
    Meter,
    SelfCare,
    TooLarge,
    Usage,
)

CALM = Usage(0.5, 80 << 20, 1 << 40)
BUSY = Usage(CPU_PERCENT_MAX + 0.1, 80 << 20, 1 << 40)


def test_at_rest_there_is_nothing_to_say() -> None:
    care = SelfCare()
    assert care.judge(CALM) == ()
    assert care.slower == 1


def test_too_much_cpu_slows_the_sampling_up_to_a_bound_and_calm_brings_it_back() -> None:
    care = SelfCare()
    said = [care.judge(BUSY) for _ in range(6)]
    assert [len(one) for one in said] == [1, 0, 0, 0, 0, 0]
    assert care.slower == SLOWER_MAX
    for _ in range(6):
        care.judge(CALM)
    assert care.slower == 1


def test_at_the_limit_itself_nothing_happens() -> None:
    assert SelfCare().judge(Usage(CPU_PERCENT_MAX, RSS_BYTES_MAX, DISK_FREE_BYTES_LEAST)) == ()


@pytest.mark.parametrize(
    ("usage", "code"),
    [
        (Usage(0, RSS_BYTES_MAX + 1, 1 << 40), "agent-memory"),
        (Usage(0, 0, DISK_FREE_BYTES_LEAST - 1), "agent-disk"),
    ],
)
def test_memory_and_disk_are_said_once_for_as_long_as_it_lasts(usage: Usage, code: str) -> None:
    care = SelfCare()
    assert [one.code for one in care.judge(usage)] == [code]
    assert care.judge(usage) == ()
    assert care.judge(CALM) == ()
    assert [one.code for one in care.judge(usage)] == [code]


def test_far_too_much_memory_ends_the_process() -> None:
    assert SelfCare().judge(Usage(0, RSS_BYTES_FATAL, 1 << 40))
    with pytest.raises(TooLarge, match="512 MiB"):
        SelfCare().judge(Usage(0, RSS_BYTES_FATAL + 1, 1 << 40))


def test_the_real_process_is_measured(tmp_path: Path) -> None:
    steps = count(0.0, CPU_WINDOW_S)
    meter = Meter(tmp_path, lambda: next(steps))
    usage = [meter.measure(os.getppid()) for _ in range(3)][-1]
    assert 1 << 20 < usage.rss_bytes < 1 << 33
    assert usage.disk_free_bytes > 0
    assert 0 <= usage.cpu_percent < 400


def test_an_actuator_that_has_gone_counts_as_nothing(tmp_path: Path) -> None:
    steps = count(0.0, CPU_WINDOW_S)
    meter = Meter(tmp_path / "none", lambda: next(steps))
    usage = [meter.measure(2**22 + 7) for _ in range(3)][-1]
    assert usage.rss_bytes > 0
    assert usage.disk_free_bytes == 0
