import time

from homeostat.sample import METRICS
from homeostat_agent.decider.sensing.windows_metrics import WindowsMetrics, fullest


def test_states_come_at_once_and_rates_with_the_second_reading() -> None:
    metrics = WindowsMetrics()
    first = metrics.read(0.0)
    assert {"memory.used", "memory.available"} <= set(first)
    assert not {"cpu.busy", "disk.read", "network.sent"} & set(first)
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        pass
    second = metrics.read(0.05)
    assert 0 < second["cpu.busy"] <= 100
    assert set(second) <= set(METRICS)
    assert {"disk.write", "network.received", "network.errors"} <= set(second)


def test_without_time_between_two_readings_there_are_no_rates() -> None:
    metrics = WindowsMetrics()
    metrics.read(0.0)
    assert not {"disk.read", "network.sent"} & set(metrics.read(0.0))


def test_the_fullest_drive_is_named() -> None:
    found = fullest()
    assert found.disk is not None
    assert 0 < found.disk[0] <= 100
    assert found.inodes is None
