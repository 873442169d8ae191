"""A real controller's web side for tests: a core on SQLite, and uvicorn on a port of the system's choice."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from fixtures_controller import Chain, add_endpoint, closed, decided, ingest, opened, outcome, pack
from starlette.types import ASGIApp, Receive, Scope, Send

from fakes.moved_clock import MovedClock
from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_controller import core as cores
from homeostat_controller.api.app import create_app
from homeostat_controller.api.tokens import ADMIN_TOKEN_FILE, ensure_admin_token
from homeostat_controller.client.context import ADDRESS_FILE
from homeostat_controller.config import Settings
from homeostat_controller.core import Core
from homeostat_controller.policies import document
from homeostat_controller.store import events as event_log
from homeostat_controller.store.database import Database

START_S_MAX = 20.0
POLICY = """\
name: web
description: Restarts what died.
playbooks:
  restart: {action: restart_service, settle: 0s, verify_within: 10s}
rules:
  - name: services
    when: {fault: [service-down], subject: "service:*"}
    do: [restart]
    level: ask
"""


@dataclass(frozen=True)
class Web:
    """A controller that serves."""

    core: Core
    url: str
    token: str
    data_dir: Path

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A client that shows the administrator's token, another one, or with "" none."""
        shown = self.token if token is None else token
        if shown:
            headers["Authorization"] = f"Bearer {shown}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)


@contextmanager
def core_on(folder: Path, template: Path, clock: MovedClock) -> Iterator[Core]:
    """A core over a copy of a migrated database."""
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(template, folder / "controller.db")
    settings = Settings(
        data_dir=folder, http_listen="127.0.0.1:0", enrol_listen="127.0.0.1:0", link_listen="127.0.0.1:0"
    )
    core = cores.build(settings, clock, document.compile_policy)
    try:
        yield core
    finally:
        core.close()


class Switch:
    """An application that is another one for each test: starting a server costs more than most tests."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "no test serves"
        await self.app(scope, receive, send)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application with uvicorn on a real socket; the value is its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, START_S_MAX)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S_MAX)
        listener.close()


def ready(core: Core, url: str) -> Web:
    """Leave token and address in the data folder, as a controller does once it serves."""
    ensure_admin_token(core)
    folder = core.settings.data_dir
    (folder / ADDRESS_FILE).write_text(url)
    return Web(core, url, (folder / ADMIN_TOKEN_FILE).read_text().strip(), folder)


@contextmanager
def serving(core: Core) -> Iterator[Web]:
    """The web application on a real socket of its own."""
    with served(create_app(core)) as url:
        yield ready(core, url)


@contextmanager
def signed_in(web: Web) -> Iterator[tuple[httpx.Client, str]]:
    """A browser with a session, and the session's CSRF token."""
    with web.client("", Origin=web.url) as browser:
        answer = browser.post("/sign-in", data={"token": web.token})
        assert answer.status_code == 303
        page = browser.get("/").text
        yield browser, page.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.fixture(scope="session")
def seen(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A filled controller that nobody changes, for all tests that only look."""
    with core_on(tmp_path_factory.mktemp("seen"), migrated_sqlite, MovedClock()) as core:
        fill(core)
        with serving(core) as running:
            yield running


@pytest.fixture(scope="session")
def switched() -> Iterator[tuple[Switch, str]]:
    """One server for the controllers of all tests, one after the other."""
    switch = Switch()
    with served(switch) as url:
        yield switch, url


@pytest.fixture
def web(migrated_sqlite: Path, tmp_path: Path, clock: MovedClock, switched: tuple[Switch, str]) -> Iterator[Web]:
    """A filled controller of one's own, on the test's clock."""
    switch, url = switched
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core:
        fill(core)
        switch.app = create_app(core)
        yield ready(core, url)
        switch.app = None


def wait_until(condition: object, within_s: float = 10.0) -> None:
    """Poll until something holds."""
    assert callable(condition)
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def fill(core: Core) -> None:
    """Three endpoints: one healed, one that waits for a person, one that never connected."""
    database = core.database
    add_endpoint(database, "ep-1", name="web-1", labels={"role": "web", "tier": "gold"})
    add_endpoint(database, "ep-2", name="db-1", labels={"role": "db"})
    add_endpoint(database, "ep-3", name="kiosk-1")
    push(core, "ep-1", opened("inc-1"), decided("inc-1"), outcome("run-1", "inc-1"), closed("inc-1"))
    push(core, "ep-2", opened("inc-2"), decided("inc-2"), pack("pack-2", "inc-2"))


def push(core: Core, endpoint_id: str, *events: link_pb2.Event | bytes) -> None:
    """Store events as if an endpoint had sent them first."""
    push_to(core.database, endpoint_id, *events)


def push_to(database: Database, endpoint_id: str, *events: link_pb2.Event | bytes) -> None:
    """Store events as if an endpoint had sent them first."""
    chain = Chain(endpoint_id)
    for event in events:
        chain.add(event)
    found = ingest(database, [chain.push()])
    assert not isinstance(found[0], Exception), found[0]


def push_more(core: Core, endpoint_id: str, *events: link_pb2.Event) -> None:
    """Store events behind those that an endpoint has sent before."""
    with core.database.write() as connection:
        end = event_log.ends(connection, [endpoint_id])[endpoint_id]
    chain = Chain(endpoint_id, head=end.head, next_sequence=end.next_sequence)
    for event in events:
        chain.add(event)
    found = ingest(core.database, [chain.push(end.next_sequence)])
    assert not isinstance(found[0], Exception), found[0]


def a_run(pack_id: str = "") -> link_pb2.Event:
    """An outcome with every stage in its record."""
    event = outcome("run-2", "inc-2", pack_id=pack_id)
    del event.outcome.steps[:]
    for stage, detail in (
        ("prechecking", "accepted for service:web under rule services"),
        ("prechecking", "it is down; it will run again"),
        ("acting", "restarted"),
        ("verifying", "it answers"),
    ):
        step = incident_pb2.RunStep(stage=stage, detail=detail)
        step.at.CopyFrom(event.outcome.started_at)
        event.outcome.steps.append(step)
    return event
