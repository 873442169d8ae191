"""Real faults, on what the demo started itself and nothing else."""

import os
import signal
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from homeostat_controller.demo import processes
from homeostat_controller.demo.layout import CACHE_LIMIT_MIB, ENDPOINTS, DemoEndpoint, Layout, report_command

GOOD_SITE = '{"greeting": "hello"}\n'


class FaultError(Exception):
    """The fault could not be injected; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: on which endpoint, what it really does, and the code that does it."""

    endpoint: DemoEndpoint
    what: str
    inject: Callable[[Layout, DemoEndpoint], None]


def _crash(layout: Layout, endpoint: DemoEndpoint) -> None:
    os.kill(_service(layout, endpoint), signal.SIGKILL)


def _hang(layout: Layout, endpoint: DemoEndpoint) -> None:
    os.kill(_service(layout, endpoint), signal.SIGSTOP)


def _leak(layout: Layout, endpoint: DemoEndpoint) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{layout.ports[endpoint.service]}/leak", method="POST")
    try:
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  # a fixed loopback address
    except OSError as error:
        raise FaultError(f"{endpoint.service} of {endpoint.name} does not answer: {error}") from error


def _cpu(layout: Layout, endpoint: DemoEndpoint) -> None:
    started = processes.start(report_command(layout, endpoint), layout.log(f"{endpoint.name}-report"))
    named = processes.remembered(layout.processes)
    processes.remember(layout.processes, {**named, f"report-{started.pid}": started})


def _disk(layout: Layout, endpoint: DemoEndpoint) -> None:
    cache = layout.cache(endpoint)
    cache.mkdir(exist_ok=True)
    for number in range(CACHE_LIMIT_MIB - 1):
        (cache / f"page-{number:03}.tmp").write_bytes(os.urandom(1 << 20))


def _config(layout: Layout, endpoint: DemoEndpoint) -> None:
    layout.site_file(endpoint).write_text('{"greeting": "hello"\n', encoding="utf-8")


def repair_config(layout: Layout) -> None:
    """Put the valid configuration file back, as a person would."""
    for endpoint in ENDPOINTS:
        if endpoint.has_config_file:
            layout.site_file(endpoint).write_text(GOOD_SITE, encoding="utf-8")


def _service(layout: Layout, endpoint: DemoEndpoint) -> int:
    process = processes.read_pid_file(layout.pid_file(endpoint))
    if process is None:
        raise FaultError(f"{endpoint.service} of {endpoint.name} does not run; is the demo up? (homeostat demo status)")
    return process.pid


_WEB, _DB, _KIOSK = ENDPOINTS
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "crash": Fault(_WEB, "web-1's service is killed (SIGKILL)", _crash),
        "hang": Fault(_WEB, "web-1's service is stopped and hangs (SIGSTOP)", _hang),
        "cpu": Fault(_KIOSK, "a report on kiosk-1 runs away and takes a whole processor", _cpu),
        "disk": Fault(_KIOSK, "kiosk-1's cache folder is filled to its quota", _disk),
        "config": Fault(_WEB, "web-1's configuration file is broken", _config),
        "leak": Fault(_DB, "db-1's service leaks memory past its limit", _leak),
    }
)
