"""Serves agents: both gRPC listeners, and the periodic tasks that sessions need.

Invariant: what stops, stops in order. Agents are told when to come back, calls are let finish, and what endpoints said
of themselves is written, before whoever opened this may let the database go.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from grpc import aio

from homeostat_controller.agents import conversation, enrolment_service, listeners, service
from homeostat_controller.agents.artifacts import Artifacts
from homeostat_controller.agents.limits import Gate
from homeostat_controller.agents.session_tokens import SessionTokens
from homeostat_controller.agents.sessions import SWEEP_S
from homeostat_controller.config import MethodLimit
from homeostat_controller.core import Core
from homeostat_controller.errors import ControllerError

THREADS = 8
# How long endpoints' states may wait to be written: many become one transaction.
REPORTS_S = 0.25
EXPIRE_S = 5.0
GRACE_S = 3.0

Task = Coroutine[Any, Any, None]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ports:
    """Where agents are listened to."""

    enrol: int
    link: int


@contextlib.asynccontextmanager
async def listening(core: Core) -> AsyncIterator[Ports]:
    """Serve agents for as long as the context is open.

    Raises ListenError.
    """
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
    certificates = listeners.Certificates(core.authority, core.settings.names, core.clock)
    link = _link_service(core, threads)
    enrolment, linked = listeners.enrolment_server(), listeners.link_server()
    enrolment.add_generic_rpc_handlers(tuple(enrolment_service.methods(_enrolment_service(core, threads))))
    linked.add_generic_rpc_handlers(tuple(service.methods(link)))
    ports = Ports(
        listeners.open_port(enrolment, core.settings.enrol_listen, certificates.credentials(mutual=False)),
        listeners.open_port(linked, core.settings.link_listen, certificates.credentials(mutual=True)),
    )
    core.addresses.enrol = _address(core.settings.names[0], ports.enrol)
    core.addresses.link = _address(core.settings.names[0], ports.link)
    core.sessions.bind(asyncio.get_running_loop())
    tasks = [asyncio.create_task(one) for one in _periodic(core, link)]
    try:
        await enrolment.start()
        await linked.start()
        yield ports
    finally:
        await _stop(core, (enrolment, linked), tasks)
        threads.shutdown()


def _link_service(core: Core, threads: ThreadPoolExecutor) -> service.LinkService:
    limits = core.settings.limits
    desk = conversation.Desk(
        settings=core.settings,
        clock=core.clock,
        ticks=core.ticks,
        database=core.database,
        standings=core.standings,
        sessions=core.sessions,
        reports=core.reports,
        inbox=core.inbox,
        tokens=SessionTokens(core.authority.derive(b"session tokens"), core.clock),
        messages=_gate(core, "SessionMessage", limits.session_message),
        metrics=core.metrics,
        threads=threads,
    )
    gates = service.Gates(
        session=_gate(core, "Session", limits.session),
        push_events=_gate(core, "PushEvents", limits.push_events),
        fetch_artifact=_gate(core, "FetchArtifact", limits.fetch_artifact),
        check_in=_gate(core, "CheckIn", limits.check_in),
        renew=_gate(core, "Renew", limits.renew),
    )
    return service.LinkService(desk, gates, core.enrolment, Artifacts(core.settings.artifacts_dir))


def _enrolment_service(core: Core, threads: ThreadPoolExecutor) -> enrolment_service.EnrolmentService:
    limits = core.settings.limits
    return enrolment_service.EnrolmentService(
        core.enrolment,
        _gate(core, "Enroll", limits.enrol),
        _gate(core, "EnrollToken", limits.enrol_token),
        threads,
        core.metrics,
    )


def _gate(core: Core, method: str, limit: MethodLimit) -> Gate:
    return Gate(method, limit, core.ticks, core.metrics)


def _address(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _periodic(core: Core, link: service.LinkService) -> Iterator[Task]:
    async def sweep() -> None:
        link.sweep()

    async def expire() -> None:
        if expired := await asyncio.to_thread(core.approvals.expire):
            log.info("packs-expired", count=expired)

    yield _each(SWEEP_S, sweep)
    yield _each(REPORTS_S, lambda: write_reports(core))
    yield _each(EXPIRE_S, expire)


async def _each(period_s: float, call: Callable[[], Task]) -> None:
    """Call again and again; one failure is logged and does not end it."""
    while True:
        await asyncio.sleep(period_s)
        try:
            await call()
        except Exception:
            log.exception("periodic-task-failed")


async def write_reports(core: Core) -> None:
    """Write what endpoints said of themselves; what cannot be written now waits on."""
    reports = core.reports.take()
    if not reports:
        return
    try:
        await core.inbox.report(reports)
    except ControllerError:
        core.reports.give_back(reports)


async def _stop(core: Core, servers: tuple[aio.Server, ...], tasks: list[asyncio.Task[None]]) -> None:
    core.sessions.drain()
    await asyncio.gather(*(server.stop(GRACE_S) for server in servers))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await write_reports(core)
