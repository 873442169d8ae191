"""What the benchmarks share: a real controller and real agents in a temporary folder, on free loopback ports."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from homeostat_controller.client.client import Client
from homeostat_controller.client.context import Given, connect
from homeostat_controller.client.exits import CommandError
from homeostat_controller.demo import processes
from homeostat_controller.demo.processes import Started

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "build" / "models"
PEERS = ROOT / "bench" / "peers"
HOMEOSTAT = str(Path(sys.executable).with_name("homeostat"))
AGENT = str(Path(sys.executable).with_name("homeostat-agent"))

POLICY = """\
name: bench
playbooks:
  restart: {action: restart_service, settle: 0s, verify_within: 15s}
rules:
  - name: restart
    when: {fault: [service-down, service-hung], subject: "service:*"}
    do: [restart]
    level: act
    least_confidence: 0.8
    highest_risk: medium
limits:
  actions: {count: 1000, per: 1h}
  failures: {count: 1000, per: 1h}
  repeats: {count: 1000, per: 1h}
"""


def until(what: str, look: Callable[[], Any], within_s: float = 60.0, poll_s: float = 0.05) -> Any:
    """Return the first truthy answer of `look`; SystemExit with what was waited for when the time is up."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(poll_s)
    raise SystemExit(f"{what} did not come within {within_s:g} s")


def quantile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def free_port(first: int = 0) -> int:
    """Return a free port from `first` on, below the range of outgoing connections."""
    for port in range(first or 20000 + os.getpid() % 5000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("no free port")


@dataclass
class Controller:
    """A real controller in a folder of its own."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    process: Started | None = None
    api: Client | None = None

    def start(self) -> Client:
        """Start it and return a client once it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        while len(set(self.ports.values())) < 3:
            self.ports = {kind: free_port() + offset for offset, kind in enumerate(("http", "enrol", "link"))}
        environment = {"HOMEOSTAT_DATA_DIR": str(self.folder), "HOMEOSTAT_NAMES": "127.0.0.1"}
        for kind, port in self.ports.items():
            environment[f"HOMEOSTAT_{kind.upper()}_LISTEN"] = f"127.0.0.1:{port}"
        # One machine plays a whole fleet here, so the limits per peer are out of the way.
        settings = self.folder.parent / "controller.toml"
        settings.write_text("[limits.enrol]\ninterval_s = 0.001\nburst = 10000\nin_flight = 64\n")
        argv = (HOMEOSTAT, "controller", "run", "--config", str(settings))
        self.process = processes.start(argv, self.folder.parent / "controller.log", environment)
        until(f"the controller ({self.folder.parent}/controller.log)", self._ready)
        return self.client()

    def client(self) -> Client:
        """Return a client with the controller's own token; the controller's stop closes it."""
        if self.api is None:
            self.api = connect(Given(data_dir=str(self.folder)), {})
        return self.api

    def stop(self) -> None:
        """End it as its service manager would."""
        if self.api is not None:
            self.api.close()
            self.api = None
        if self.process is not None:
            processes.end([self.process])
            self.process = None

    def _ready(self) -> bool:
        try:
            return bool(self.client().get("/readyz"))
        except CommandError:
            return False


@dataclass
class Endpoint:
    """One real agent with one service, `bench/peers/plain-service`, as a process group."""

    folder: Path
    name: str
    period_s: float = 5.0
    process: Started | None = None

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def pid_file(self) -> Path:
        return self.folder / "svc" / "svc.pid"

    def prepare(self) -> None:
        """Write agent.toml and start the service."""
        for name in ("data", "run", "actuator", "svc"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        command = json.dumps([str(PEERS / "plain-service"), str(self.folder / "svc")])
        self.config.write_text(
            f"""[agent]
name = "{self.name}"
data_dir = "{self.folder}/data"
run_dir = "{self.folder}/run"
model_dir = "{MODELS}"
sample_period_s = {self.period_s}
[controller]
first_try_s_max = 0.2
[actuator]
data_dir = "{self.folder}/actuator"
start = "child"
[[service]]
name = "svc"
pid_file = "{self.pid_file}"
command = {command}
"""
        )
        if processes.read_pid_file(self.pid_file) is None:
            argv = (str(PEERS / "plain-service"), str(self.folder / "svc"))
            started = processes.start(argv, self.folder / "svc.out")
            self.pid_file.write_text(f"{started.pid}\n{started.ticks}\n")
        until("the service's pid file", self.service)

    def service(self) -> Started | None:
        """Return the service's process."""
        return processes.read_pid_file(self.pid_file)

    def enrol(self, api: Client) -> None:
        """Enrol with a single-use token."""
        token = api.post("/enrolment-tokens", {"group": "", "labels": {}, "minutes": 15, "note": "bench"})["token"]
        argv = [AGENT, "enrol", "--config", str(self.config), "--token-file", "-"]
        subprocess.run(argv, input=token, text=True, check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Start the agent, which starts its actuator itself."""
        self.process = processes.start((AGENT, "run", "--config", str(self.config)), self.folder / "agent.log")

    def actuator(self) -> Started | None:
        """Return the actuator's process, found by its configuration file on its command line."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            ticks = processes.ticks_of(int(entry.name))
            if b"actuate" in argv and str(self.config).encode() in argv and ticks is not None:
                return Started(int(entry.name), ticks)
        return None

    def under_policy(self, api: Client, policy: str = "bench") -> bool:
        """Say whether the controller knows it to be under that policy."""
        rows = [one for one in api.items("/endpoints", 0) if one["name"] == self.name]
        return bool(rows) and rows[0]["policy"]["name"] == policy

    def stop(self) -> None:
        """End agent, actuator and service."""
        ended = [one for one in (self.process, self.actuator()) if one is not None]
        processes.end(ended)
        service = self.service()
        if service is not None:
            processes.end([service])


@contextmanager
def stage(count: int = 1, period_s: float = 5.0) -> Iterator[tuple[Controller, Client, list[Endpoint]]]:
    """Yield a controller, a client of it, and `count` agents under the bench policy; everything ends afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="homeostat-bench-"))
    controller = Controller(folder / "controller")
    endpoints = [Endpoint(folder / f"e{number}", f"e{number}", period_s) for number in range(count)]
    try:
        api = controller.start()
        api.post("/policies", {"text": POLICY})
        for endpoint in endpoints:
            endpoint.folder.mkdir()
            endpoint.prepare()
            endpoint.enrol(api)
            endpoint.start()
        for endpoint in endpoints:
            until(f"{endpoint.name} under policy ({endpoint.folder}/agent.log)", partial(endpoint.under_policy, api))
        yield controller, api, endpoints
    finally:
        for endpoint in endpoints:
            endpoint.stop()
        controller.stop()
        if not os.environ.get("HOMEOSTAT_BENCH_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
