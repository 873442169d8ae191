"""Where the demo's things lie, on which ports, and the three endpoints with their configuration.

Everything is below one folder. Ports are chosen once, written down, and kept: a second start finds the first.
"""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Below 32768, where the system takes the ports of outgoing connections from.
FIRST_PORT = 8440
PORTS = ("http", "enrol", "link", "web", "db", "kiosk")


@dataclass(frozen=True, slots=True)
class DemoEndpoint:
    """One endpoint: its labels, its one service, and what else it has to care for."""

    name: str
    service: str
    labels: dict[str, str]
    memory_max_mib: int = 0
    has_config_file: bool = False
    has_cache: bool = False
    has_report: bool = False


ENDPOINTS = (
    DemoEndpoint("web-1", "web", {"role": "web"}, has_config_file=True),
    DemoEndpoint("db-1", "db", {"role": "db"}, memory_max_mib=96),
    DemoEndpoint("kiosk-1", "kiosk", {"role": "kiosk"}, has_cache=True, has_report=True),
)
CACHE_LIMIT_MIB = 32
# A Unix socket's path has at most 107 bytes; below this folder lie an endpoint's name and the socket's own.
RUNS_BYTES_MAX = 75


@dataclass(frozen=True, slots=True)
class Layout:
    """The demo below `root`, an absolute path."""

    root: Path
    ports: dict[str, int]
    runs: Path

    @property
    def controller(self) -> Path:
        """The controller's data folder."""
        return self.root / "controller"

    @property
    def processes(self) -> Path:
        """The file that remembers what was started."""
        return self.root / "processes.json"

    @property
    def told(self) -> Path:
        """The file that says that the whole story was told once."""
        return self.root / "told"

    @property
    def url(self) -> str:
        """The controller's address for people."""
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def agents(self) -> Path:
        """The folder with a folder for each endpoint."""
        return self.root / "endpoints"

    def agent(self, name: str) -> Path:
        """The folder of one endpoint."""
        return self.agents / name

    def run(self, name: str) -> Path:
        """The folder of one endpoint's sockets and pid files."""
        return self.runs / name

    def log(self, name: str) -> Path:
        """The log of one of the demo's processes."""
        return self.root / "logs" / f"{name}.log"

    def pid_file(self, endpoint: DemoEndpoint) -> Path:
        """The pid file of an endpoint's service."""
        return self.run(endpoint.name) / f"{endpoint.service}.pid"

    def site_file(self, endpoint: DemoEndpoint) -> Path:
        """The configuration file of an endpoint's service."""
        return self.agent(endpoint.name) / "site.json"

    def cache(self, endpoint: DemoEndpoint) -> Path:
        """The folder with a quota."""
        return self.agent(endpoint.name) / "cache"


def make(root: Path) -> Layout:
    """Return the layout below `root`, with the ports chosen before or, the first time, free ones.

    Raises OSError when no ports are free or the folder cannot be written.
    """
    file = root / "chosen.json"
    if file.exists():
        chosen = json.loads(file.read_text(encoding="utf-8"))
        return Layout(root, chosen["ports"], Path(chosen["runs"]))
    for folder in (root, root / "logs", root / "controller"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    runs = root / "run"
    if len(os.fsencode(runs)) > RUNS_BYTES_MAX:
        runs = Path(tempfile.mkdtemp(prefix="homeostat-demo-"))
    file.write_text(json.dumps({"ports": ports, "runs": str(runs)}), encoding="utf-8")
    return Layout(root, ports, runs)


def service_command(layout: Layout, endpoint: DemoEndpoint) -> tuple[str, ...]:
    """Return the argv of an endpoint's service."""
    port = str(layout.ports[endpoint.service])
    module = "homeostat_controller.demo.service"
    return (sys.executable, "-m", module, "--name", endpoint.service, "--port", port)


def report_command(layout: Layout, endpoint: DemoEndpoint) -> tuple[str, ...]:
    """Return the argv of an endpoint's report program, told apart from that of every other demo by the folder."""
    name = f"{endpoint.name} of {layout.root}"
    return (sys.executable, "-m", "homeostat_controller.demo.report", "--name", name)


def agent_toml(layout: Layout, endpoint: DemoEndpoint, model_dir: Path) -> str:
    """Return an endpoint's agent.toml."""
    here = layout.agent(endpoint.name)
    site = layout.site_file(endpoint)
    lines = [
        *_table(
            "agent", name=endpoint.name, data_dir=here / "data", run_dir=layout.run(endpoint.name), model_dir=model_dir
        ),
        "sample_period_s = 1.0",
        "",
        "[controller]",
        "first_try_s_max = 0.2",
        *_table("actuator", data_dir=here / "actuator", start="child"),
        *_table("labels", **endpoint.labels),
        *_table("[service]", name=endpoint.service, pid_file=layout.pid_file(endpoint), working_dir=here),
        f"log_file = {_text(layout.log(endpoint.name + '-' + endpoint.service))}",
        f"command = {_list(service_command(layout, endpoint))}",
        f"memory_max_mib = {endpoint.memory_max_mib}",
        f'probe = {{ http = "http://127.0.0.1:{layout.ports[endpoint.service]}/healthz", timeout_s = 1.0 }}',
    ]
    if endpoint.has_config_file:
        check = (sys.executable, "-m", "homeostat_controller.demo.sitecheck", str(site))
        lines += [f"check = {_list(check)}"]
        lines += [*_table("[watched_file]", name="site.json", path=site), f"check = {_list(check)}"]
    if endpoint.has_cache:
        lines += [*_table("[folder]", name="cache", path=layout.cache(endpoint)), 'patterns = ["*.tmp"]']
        lines += [f"limit_mib = {CACHE_LIMIT_MIB}"]
    if endpoint.has_report:
        command = report_command(layout, endpoint)
        lines += [*_table("[program]", name="report", executable=Path(command[0]).resolve())]
        lines += [f"arguments = {_list(command[1:])}"]
    return "\n".join(lines) + "\n"


def _table(header: str, /, **values: object) -> list[str]:
    return ["", f"[{header}]", *(f"{key} = {_text(value)}" for key, value in values.items())]


def _text(value: object) -> str:
    # A TOML basic string escapes as JSON does.
    return json.dumps(str(value))


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in range(FIRST_PORT, FIRST_PORT + 1000):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    if len(found) < count:
        raise OSError(f"fewer than {count} free ports on 127.0.0.1 between {FIRST_PORT} and {FIRST_PORT + 999}")
    return found
