"""What one reading costs: ours, beside the same facts by psutil, in the same run.

    .venv/bin/python bench/sampling.py [--readings 200] [--processes 300] [--services 5]

Prints milliseconds of CPU per reading and the share of one core at a period of 5 s. The processes are real `sleep`s
started by this script and ended by their numbers; CPU time is this process's own, so neighbours do not count.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from homeostat_agent.config import AgentConfig, Folder, Program, Service
from homeostat_agent.decider.sensing import linux
from homeostat_agent.decider.sensing.processes import SETTLED_S
from homeostat_agent.decider.sensing.scan_rule import SCAN_EVERY

PERIOD_S = 5.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        sleepers = _start(options.processes)
        try:
            config = _config(Path(folder), sleepers[: options.services])
            _report(config, options.readings)
        finally:
            for one in sleepers:
                one.kill()
            for one in sleepers:
                one.wait()


def _report(config: AgentConfig, readings: int) -> None:
    host = linux.LinuxHost(config, lambda: datetime.now(UTC))
    host.read()
    time.sleep(SETTLED_S)  # what a young process runs is looked at again and again; these are to be like any others
    known: list[float] = []
    scans: list[float] = []
    for _ in range(readings):
        time.sleep(0.02)
        before = host._table._verdicts  # noqa: SLF001  # a full scan replaces it: that tells the two kinds apart
        cost = _cpu_ms(host.read)
        (known if host._table._verdicts is before else scans).append(cost)  # noqa: SLF001  # the bench looks at which kind of reading it was
    theirs = [_cpu_ms(lambda: _by_psutil(config)) for _ in range(max(readings // 10, 5))]
    quiet = median(known) + (median(scans) - median(known)) / SCAN_EVERY
    print(f"{len(psutil.pids())} processes, {len(config.service)} services, {len(config.program)} program, 1 folder")
    _line("ours, known processes only", median(known), len(known))
    _line("ours, with a full scan", median(scans), len(scans))
    _line(f"ours, every {SCAN_EVERY}th with a full scan", quiet, len(known) + len(scans))
    _line("psutil, all processes", median(theirs), len(theirs))
    print(f"psutil / ours: {median(theirs) / quiet:.0f} times the CPU")


def _by_psutil(config: AgentConfig) -> None:
    """Read with psutil what a reading holds, the way its manual does it."""
    psutil.cpu_times_percent()
    psutil.virtual_memory()
    psutil.swap_memory()
    psutil.getloadavg()
    psutil.disk_io_counters()
    psutil.net_io_counters()
    for part in psutil.disk_partitions():
        psutil.disk_usage(part.mountpoint)
    for process in psutil.process_iter(["pid", "name", "cmdline", "cpu_percent", "memory_info", "status"]):
        process.info.get("cmdline")
    for service in config.service:
        leader = psutil.Process(int(Path(service.pid_file).read_text().split()[0]))
        with leader.oneshot():
            leader.status(), leader.cpu_times(), leader.memory_info(), leader.children(recursive=True)
    for folder in config.folder:
        sum(one.lstat().st_size for one in Path(folder.path).rglob("*"))


def _config(folder: Path, leaders: "list[subprocess.Popen[bytes]]") -> AgentConfig:
    services = []
    for number, leader in enumerate(leaders):
        pid_file = folder / f"{number}.pid"
        pid_file.write_text(f"{leader.pid}\n")
        services.append(Service(f"service-{number}", command=("/bin/sleep",), pid_file=str(pid_file)))
    for number in range(20):
        (folder / f"{number}.log").write_bytes(b"x" * 4096)
    return AgentConfig(
        service=tuple(services),
        folder=(Folder("logs", str(folder), ("*.log",), limit_mib=10),),
        program=(Program("none", "/opt/none/bin/none"),),
    )


def _start(count: int) -> "list[subprocess.Popen[bytes]]":
    sleep = subprocess.check_output(["which", "sleep"], text=True).strip()
    return [subprocess.Popen([sleep, "600"], start_new_session=True) for _ in range(count)]


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def _line(what: str, cost_ms: float, count: int) -> None:
    print(f"{what:32} {cost_ms:8.3f} ms   {cost_ms / PERIOD_S / 10:7.4f} % of a core at {PERIOD_S:g} s   n={count}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=200)
    parser.add_argument("--processes", type=int, default=300)
    parser.add_argument("--services", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
