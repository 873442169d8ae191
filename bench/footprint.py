#!/usr/bin/env python3
"""What the agent takes at rest: RSS, PSS, USS and CPU of decider and actuator, beside netdata in the same run."""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from _stage import PEERS, free_port, stage, until

from homeostat_controller.demo import processes
from homeostat_controller.demo.processes import Started

TICKS = os.sysconf("SC_CLK_TCK")


def memory(pids: list[int]) -> dict[str, float]:
    total = dict.fromkeys(("rss_mib", "pss_mib", "uss_mib"), 0.0)
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            key = {"Rss": "rss_mib", "Pss": "pss_mib", "Private_Clean": "uss_mib", "Private_Dirty": "uss_mib"}.get(name)
            if key:
                total[key] += int(rest.split()[0]) / 1024
    return {name: round(value, 1) for name, value in total.items()}


def cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(one) for one in fields[11:15])
    return ticks / TICKS


def tree(root: int) -> list[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def netdata(folder: Path) -> Started:
    for name in ("cache", "lib", "log"):
        (folder / name).mkdir(parents=True)
    text = (PEERS / "netdata.conf").read_text().replace("@DIR@", str(folder)).replace("@PORT@", str(free_port(19000)))
    (folder / "netdata.conf").write_text(text)
    argv = ("netdata", "-D", "-P", str(folder / "pid"), "-c", str(folder / "netdata.conf"))
    return processes.start(argv, folder / "out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long to measure (default 300)")
    parser.add_argument("--settle", type=float, default=60, help="wait before it (default 60)")
    parser.add_argument("--period", type=float, default=5, help="the agent's sample period (default 5)")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="homeostat-netdata-"))
    peer = netdata(folder) if shutil.which("netdata") else None
    try:
        with stage(period_s=given.period) as (_, _api, (endpoint,)):
            decider, actuator = endpoint.process, until("the actuator", endpoint.actuator)
            assert decider is not None
            time.sleep(given.settle)
            parts = {"decider": [decider.pid], "actuator": [actuator.pid], "both": [decider.pid, actuator.pid]}
            if peer:
                parts["netdata"] = tree(peer.pid)
            before = {name: cpu_s(pids) for name, pids in parts.items()}
            time.sleep(given.seconds)
            for name, pids in parts.items():
                share = (cpu_s(pids) - before[name]) / given.seconds * 100
                print(json.dumps({"who": name, **memory(pids), "cpu_percent_of_a_core": round(share, 3)}), flush=True)
    finally:
        processes.end([peer] if peer else [])
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
