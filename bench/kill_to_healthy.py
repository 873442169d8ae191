#!/usr/bin/env python3
"""Kill a watched service at random moments: time until it is verified healthy again, beside Monit in the same run.

For Monit the clock stops when the service has started again (it verifies nothing); for Homeostat when the healing run
ended healed, by the agent's own record.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from _stage import PEERS, Endpoint, quantile, stage, until

from homeostat_controller.client.client import Client
from homeostat_controller.demo import processes


def ours(kills: int, random_: random.Random) -> list[float]:
    """Return the seconds from each kill to the end of its healing run."""
    with stage() as (_, api, (endpoint,)):
        times = [one_kill(endpoint, random_) for _ in range(kills)]
        until("the outcomes at the controller", lambda: len(healed(api)) >= kills)
    return times


def one_kill(endpoint: Endpoint, random_: random.Random) -> float:
    time.sleep(random_.uniform(0.05, 0.6))
    before = len(outcomes(endpoint))
    service = until("a running service", endpoint.service)
    killed = time.time()
    os.kill(service.pid, signal.SIGKILL)
    found = until("the outcome", lambda: outcomes(endpoint)[before:], 30)
    assert found[0]["outcome"] == "healed", found[0]
    return datetime.fromisoformat(found[0]["ended_at"]).timestamp() - killed


def outcomes(endpoint: Endpoint) -> list[dict[str, str]]:
    argv = [str(Path(sys.executable).with_name("homeostat-agent"))]
    argv += ["incidents", "--config", str(endpoint.config), "-o", "json"]
    rows = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout)
    return [row for row in reversed(rows) if row.get("outcome")]


def healed(api: Client) -> list[dict[str, str]]:
    return [one for one in api.items("/incidents", 0) if one["status"] == "healed"]


def monit(cycle_s: int, kills: int, random_: random.Random) -> list[float]:
    """Return the seconds from each kill to the service's new start under Monit."""
    folder = Path(tempfile.mkdtemp(prefix="homeostat-monit-"))
    text = (PEERS / "monit.conf").read_text()
    for name, value in (
        ("@CYCLE@", str(cycle_s)),
        ("@DIR@", str(folder)),
        ("@START@", str(PEERS / "start-in-background")),
    ):
        text = text.replace(name, value)
    (folder / "monitrc").write_text(text)
    (folder / "monitrc").chmod(0o600)
    started = processes.start(("monit", "-I", "-c", str(folder / "monitrc")), folder / "out")
    try:
        times = [monit_kill(folder, cycle_s, random_) for _ in range(kills)]
    finally:
        processes.end([started])
        service = processes.read_pid_file(folder / "svc.pid")
        processes.end([service] if service else [])
        shutil.rmtree(folder)
    return times


def monit_kill(folder: Path, cycle_s: int, random_: random.Random) -> float:
    service = until("a service under Monit", lambda: processes.read_pid_file(folder / "svc.pid"), 120)
    time.sleep(random_.uniform(0.0, cycle_s) + 0.5)
    killed = time.time()
    os.kill(service.pid, signal.SIGKILL)

    def started() -> float:
        stamps = [float(one) for one in (folder / "svc.log").read_text().split()]
        return next((stamp for stamp in stamps if stamp > killed), 0.0)

    return float(until("Monit's restart", started, cycle_s * 3 + 60, 0.002)) - killed


def row(name: str, times: list[float]) -> dict[str, object]:
    p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
    return {"who": name, "kills": len(times), "p50_ms": round(p50 * 1e3, 1), "p99_ms": round(p99 * 1e3, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="kills of our service (default 100)")
    parser.add_argument("--monit-kills", type=int, default=30, help="kills under Monit at 1 s (default 30)")
    parser.add_argument("--slow-kills", type=int, default=5, help="kills under Monit at 30 s (default 5)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random_ = random.Random(given.seed)
    rows = [row("homeostat", ours(given.kills, random_))]
    for cycle_s, kills in ((1, given.monit_kills), (30, given.slow_kills)):
        if kills:
            rows.append(row(f"monit, {cycle_s} s cycle", monit(cycle_s, kills, random_)))
    for one in rows:
        one["times_slower_at_p50"] = round(float(str(one["p50_ms"])) / float(str(rows[0]["p50_ms"])), 1)
        print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()
