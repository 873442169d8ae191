"""Starts the demo's controller, endpoints and services, and ends them again.

Invariant: whatever is started is remembered on disk before anything else happens, so `end` finds it after a crash too.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from homeostat_controller.client.client import Client
from homeostat_controller.client.context import Given, connect
from homeostat_controller.demo import processes, watch
from homeostat_controller.demo.faults import GOOD_SITE
from homeostat_controller.demo.layout import ENDPOINTS, DemoEndpoint, Layout, agent_toml, service_command
from homeostat_controller.demo.processes import Started
from homeostat_controller.demo.watch import TooLate

POLICY = Path(__file__).parent / "policy.yaml"
ENROL_S_MAX = 30.0


def program(name: str) -> str:
    """Return the path of one of our commands, beside the Python that runs this one."""
    return str(Path(sys.executable).with_name(name))


def is_up(layout: Layout) -> bool:
    """Say whether the controller and every agent of this demo run."""
    return all(states(layout).values())


def states(layout: Layout) -> dict[str, bool]:
    """Return which of the demo's own processes run, by name."""
    named = processes.remembered(layout.processes)
    wanted = ["controller", *(one.name for one in ENDPOINTS)]
    return {name: name in named and processes.is_alive(named[name]) for name in wanted}


def controller_environment(layout: Layout) -> dict[str, str]:
    """Return the controller's settings: loopback only, on the demo's own ports."""
    listen = {kind: f"127.0.0.1:{layout.ports[kind]}" for kind in ("http", "enrol", "link")}
    return {
        "HOMEOSTAT_DATA_DIR": str(layout.controller),
        "HOMEOSTAT_NAMES": "127.0.0.1",
        **{f"HOMEOSTAT_{kind.upper()}_LISTEN": address for kind, address in listen.items()},
    }


def start_controller(layout: Layout) -> Client:
    """Start the controller and return a client for it once it is ready."""
    _start(layout, "controller", (program("homeostat"), "controller", "run"), controller_environment(layout))
    log = layout.log("controller")
    watch.wait_for("the controller's first answer", 60, lambda: _reached(layout), lambda: f"its log is {log}")
    return client(layout)


def client(layout: Layout) -> Client:
    """Return a client that reads the controller's own token."""
    return connect(Given(data_dir=str(layout.controller)), {})


def start_service(layout: Layout, endpoint: DemoEndpoint) -> None:
    """Start an endpoint's service and write its pid file, as its init system would have."""
    here = layout.agent(endpoint.name)
    for folder in (here, layout.run(endpoint.name), here / "data", here / "actuator"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if endpoint.has_cache:
        layout.cache(endpoint).mkdir(exist_ok=True)
    if endpoint.has_config_file:
        layout.site_file(endpoint).write_text(GOOD_SITE, encoding="utf-8")
    if processes.read_pid_file(layout.pid_file(endpoint)) is None:
        log = layout.log(f"{endpoint.name}-{endpoint.service}")
        started = processes.start(service_command(layout, endpoint), log)
        layout.pid_file(endpoint).write_text(f"{started.pid}\n{started.ticks}\n", encoding="ascii")


def enrol(layout: Layout, endpoint: DemoEndpoint, api: Client, model_dir: Path) -> None:
    """Write agent.toml and, the first time, enrol with a single-use token that passes through a pipe only."""
    config = layout.agent(endpoint.name) / "agent.toml"
    config.write_text(agent_toml(layout, endpoint, model_dir), encoding="utf-8")
    if watch.endpoint(api, endpoint.name) is not None:
        return
    token = api.post("/enrolment-tokens", {"group": "", "labels": endpoint.labels, "minutes": 15, "note": "demo"})
    argv = [program("homeostat-agent"), "enrol", "--config", str(config), "--token-file", "-"]
    done = subprocess.run(argv, input=token["token"], capture_output=True, text=True, timeout=ENROL_S_MAX, check=False)
    if done.returncode:
        raise TooLate(f"{endpoint.name} could not enrol: {(done.stderr or done.stdout).strip()}")


def start_agent(layout: Layout, endpoint: DemoEndpoint) -> None:
    """Start an endpoint's agent, which starts its actuator itself."""
    config = layout.agent(endpoint.name) / "agent.toml"
    _start(layout, endpoint.name, (program("homeostat-agent"), "run", "--config", str(config)))


def end(layout: Layout) -> None:
    """End everything that was started, and remove its folders."""
    named = processes.remembered(layout.processes)
    # Agents first, or they would restart the services that end next; also those that somebody started by hand.
    agents = [started for name, started in named.items() if name != "controller"]
    processes.end([*agents, *processes.naming(f"{layout.agents}/")])
    services = [processes.read_pid_file(layout.pid_file(endpoint)) for endpoint in ENDPOINTS]
    processes.end([one for one in services if one is not None])
    processes.end([named["controller"]] if "controller" in named else [])
    shutil.rmtree(layout.runs, ignore_errors=True)
    shutil.rmtree(layout.root)


def _start(layout: Layout, name: str, argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
    named = processes.remembered(layout.processes)
    if name in named and processes.is_alive(named[name]):
        return
    started: Started = processes.start(argv, layout.log(name), environment)
    processes.remember(layout.processes, {**named, name: started})


def _reached(layout: Layout) -> watch.Row | None:
    controller = processes.remembered(layout.processes)["controller"]
    if not processes.is_alive(controller):
        raise TooLate(f"the controller ended at once; its log is {layout.log('controller')}")
    if not (layout.controller / "http.address").exists():
        return None
    return watch.answers(client(layout))
