from pathlib import Path

import pytest

from homeostat_agent.boot_clock import since_boot_s, wall_ahead_ns


def test_the_wall_clock_is_ahead_of_the_time_since_boot_by_the_time_of_boot() -> None:
    boot_time = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if "btime" in line)
    assert wall_ahead_ns() / 1e9 == pytest.approx(boot_time, abs=2)
    assert since_boot_s() > 0
