import os
import time
from pathlib import Path

import pytest

from homeostat_agent.decider.sensing.metrics import ClockSteps, HostMetrics


def machine(proc: Path, **files: str) -> None:
    for name, content in files.items():
        path = proc / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def stat(cpu: str, *, started: int = 100, running: int = 2) -> str:
    return f"cpu  {cpu}\ncpu0 {cpu}\nintr 5 0\nctxt 9\nbtime 1\nprocesses {started}\nprocs_running {running}\n"


def test_the_first_reading_has_states_only(tmp_path: Path) -> None:
    machine(
        tmp_path,
        stat=stat("10 0 10 70 10 0 0 0 0 0"),
        loadavg="1.50 1.00 0.50 2/300 12345\n",
        meminfo="MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nSwapTotal: 200 kB\nSwapFree: 150 kB\n",
        sys__fs__file_nr="500\t0\t1000\n",
        pressure__cpu="some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    )
    values = HostMetrics(tmp_path).read(0.0)
    assert values == pytest.approx(
        {
            "processes.running": 2.0,
            "load.1m": 1.5 / (os.cpu_count() or 1),
            "memory.used": 75.0,
            "memory.available": 250 * 1024.0,
            "swap.used": 25.0,
            "descriptors.used": 50.0,
        }
    )


def test_shares_and_rates_are_over_the_time_since_the_last_reading(tmp_path: Path) -> None:
    machine(
        tmp_path,
        stat=stat("100 0 100 700 100 0 0 0 50 0"),
        pressure__memory="some avg10=0 total=1000000\nfull avg10=0 total=500000\n",
        pressure__io="some avg10=0 total=0\nfull avg10=0 total=0\n",
        pressure__cpu="some avg10=0 total=0\nfull avg10=0 total=0\n",
    )
    metrics = HostMetrics(tmp_path)
    metrics.read(0.0)
    machine(
        tmp_path,
        stat=stat("120 0 120 740 120 0 0 0 70 0", started=110),
        pressure__memory="some avg10=0 total=3000000\nfull avg10=0 total=1000000\n",
        pressure__io="some avg10=0 total=99000000\nfull avg10=0 total=0\n",
        pressure__cpu="some avg10=0 total=50000\nfull avg10=0 total=50000\n",
    )
    values = metrics.read(5.0)
    assert values == pytest.approx(
        {
            "cpu.busy": 40.0,
            "cpu.iowait": 20.0,
            "processes.running": 2.0,
            "processes.started": 2.0,
            "psi.memory.some": 40.0,
            "psi.memory.full": 10.0,
            "psi.io.some": 100.0,  # more than the time that passed: the readings are not at the same instant
            "psi.io.full": 0.0,
            "psi.cpu.some": 1.0,  # and no "full" for the cpu, which means nothing for a whole machine
        }
    )
    metrics.close()


def test_counters_that_went_back_leave_their_metrics_out_for_one_period(tmp_path: Path) -> None:
    machine(tmp_path, stat=stat("100 0 100 700 100 0 0 0"), pressure__cpu="some total=900\n")
    metrics = HostMetrics(tmp_path)
    metrics.read(0.0)
    machine(tmp_path, stat=stat("1 0 1 7 1 0 0 0", started=3), pressure__cpu="some total=1\n")
    assert metrics.read(5.0) == {"processes.running": 2.0}
    machine(tmp_path, stat=stat("2 0 1 8 1 0 0 0", started=4), pressure__cpu="some total=50001\n")
    assert metrics.read(5.0) == pytest.approx(
        {"processes.running": 2.0, "cpu.busy": 50.0, "cpu.iowait": 0.0, "processes.started": 0.2, "psi.cpu.some": 1.0}
    )


def test_idle_time_that_steps_back_a_little_is_no_reset(tmp_path: Path) -> None:
    machine(tmp_path, stat=stat("100 0 100 700 100 0 0 0"))
    metrics = HostMetrics(tmp_path)
    metrics.read(0.0)
    machine(tmp_path, stat=stat("110 0 100 705 98 0 0 0"))
    values = metrics.read(5.0)
    assert values["cpu.iowait"] == 0.0
    assert values["cpu.busy"] == pytest.approx(100.0 * (1 - 5 / 13))


def test_what_the_kernel_does_not_tell_is_left_out(tmp_path: Path) -> None:
    metrics = HostMetrics(tmp_path)
    assert metrics.read(0.0) == {}
    machine(tmp_path, stat="rubbish", loadavg="", meminfo="MemTotal: x kB\n", sys__fs__file_nr="1 2\n")
    machine(tmp_path, pressure__cpu="some\n")
    assert metrics.read(5.0) == {}


def test_a_machine_without_swap_has_no_share_of_it(tmp_path: Path) -> None:
    machine(tmp_path, meminfo="MemTotal: 10 kB\nMemAvailable: 5 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
    assert "swap.used" not in HostMetrics(tmp_path).read(0.0)


def test_this_machine() -> None:
    metrics = HostMetrics()
    metrics.read(0.0)
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        pass
    values = metrics.read(0.05)
    metrics.close()
    assert 0 < values["cpu.busy"] <= 100
    assert 0 < values["memory.used"] < 100
    assert values["processes.running"] >= 1


def test_a_clock_that_runs_does_not_step() -> None:
    clock = ClockSteps()
    assert clock.step_s() is None
    step = clock.step_s()
    assert step is not None
    assert abs(step) < 0.1
