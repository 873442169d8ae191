import os
import sys
import time
from pathlib import Path

from homeostat_controller.demo import processes, report


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_it_computes_until_ended(tmp_path: Path) -> None:
    started = processes.start((sys.executable, "-m", report.__name__, "--name", "kiosk-1"), tmp_path / "log")
    half_a_second = os.sysconf("SC_CLK_TCK") // 2
    end = time.monotonic() + 30
    while time.monotonic() < end and cpu_ticks(started.pid) < half_a_second:
        time.sleep(0.05)
    assert cpu_ticks(started.pid) >= half_a_second
    processes.end([started])
    assert not processes.is_alive(started)
