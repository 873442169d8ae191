"""Runs the controller: agents' listeners and the HTTP server in one event loop, until it is asked to stop.

Invariant: a port that cannot be opened or a database that cannot be used is one sentence at the start, never a
half-running controller.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import structlog
import uvicorn

from homeostat_controller import core as cores
from homeostat_controller import logs
from homeostat_controller.agents.listeners import ListenError
from homeostat_controller.api.app import create_app
from homeostat_controller.clock import utc_now
from homeostat_controller.config import Settings
from homeostat_controller.core import Core
from homeostat_controller.listening import listening
from homeostat_controller.policies import document

HTTP_BACKLOG = 512
HTTP_GRACE_S = 3
# Headers and request line together; the bodies' limit is the API's.
HTTP_HEADERS_BYTES_MAX = 32 << 10

log = structlog.get_logger()
Ready = Callable[[Core, str], None]


def serve(settings: Settings, ready: Ready = lambda _core, _url: None) -> None:
    """Run until SIGTERM or SIGINT. `ready` is called with the core and the HTTP address once all ports are open.

    Raises ControllerError with a sentence when it cannot start.
    """
    logs.configure(settings)
    http_socket = _bound(settings.http_listen)
    core = cores.build(settings, utc_now, document.compile_policy)
    try:
        asyncio.run(_until_stopped(core, http_socket, ready))
    finally:
        core.close()
        http_socket.close()
        log.info("stopped")


async def run(core: Core, http_socket: socket.socket, ready: Ready, stop: asyncio.Event) -> None:
    """Serve agents and people until `stop` is set.

    Raises ListenError.
    """
    async with listening(core) as ports:
        http = _http(core)
        serving = asyncio.create_task(http.serve(sockets=[http_socket]))
        stopping = asyncio.create_task(stop.wait())
        url = _url(http_socket)
        # What is alive now lives long; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        ready(core, url)
        log.info("ready", http=url, enrol=ports.enrol, link=ports.link)
        if not ip_address(http_socket.getsockname()[0]).is_loopback:
            log.warning(
                "http-in-the-clear", http=url, advice="listen on 127.0.0.1 and let a TLS proxy face the network"
            )
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        http.should_exit = True
        stopping.cancel()
        await serving


async def _until_stopped(core: Core, http_socket: socket.socket, ready: Ready) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no such thing in asyncio; there the service's stop comes as KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await run(core, http_socket, ready, stop)


class _Http(uvicorn.Server):
    """Uvicorn, without its own handling of signals: the whole controller stops in one order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _http(core: Core) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(core),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HTTP_HEADERS_BYTES_MAX,
        timeout_graceful_shutdown=HTTP_GRACE_S,
        lifespan="on",
    )
    return _Http(config)


def _bound(listen: str) -> socket.socket:
    """Open the HTTP port first: it is the one that another controller on this machine would hold."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio switches Nagle's delay off only for sockets that say they are TCP.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host.strip("[]"), int(port)))
        opened.listen(HTTP_BACKLOG)
    except OSError as error:
        opened.close()
        raise ListenError(f"{listen} cannot be listened on: {error.strerror or error}") from error
    return opened


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
