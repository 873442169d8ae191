"""The one thread that stores what endpoints send: many small pieces become few transactions.

Invariant: a push is answered after its commit, never before; and a push that cannot be stored fails alone, because a
batch that fails is stored again piece by piece.
"""

import asyncio
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from homeostat.wire.v1 import link_pb2
from homeostat_controller.agents.ingest import ChainBroken, Ingest
from homeostat_controller.clock import Clock
from homeostat_controller.errors import Busy, ControllerError
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import approvals, session_states
from homeostat_controller.store.database import Database

BATCH_ROWS_MAX = 500
BATCH_WAIT_S = 0.015
# Reports and receipts that wait as jobs; each flush of the loop is one.
JOBS_MAX = 4096
RETRY_AFTER_S = 2.0

log = structlog.get_logger()


class StoreFailed(ControllerError):  # noqa: N818  # a state of the database
    """The database cannot take it now; nothing was stored."""


@dataclass(slots=True)
class Push:
    """Records of one endpoint; `done` gets the number of the next one expected, or ChainBroken."""

    request: link_pb2.PushEventsRequest
    done: "Future[int]" = field(default_factory=Future)


@dataclass(slots=True)
class Receipts:
    """Receipts of one endpoint; `done` gets how many were new."""

    rows: list[approvals.ReceiptRow]
    done: "Future[int]" = field(default_factory=Future)


@dataclass(slots=True)
class ReportBatch:
    """Reports of many endpoints; `done` gets how many they are."""

    rows: list[session_states.Report]
    done: "Future[int]" = field(default_factory=Future)


Job = Push | Receipts | ReportBatch


class Inbox:
    """The writer: a thread of its own, which ends with `close`."""

    def __init__(self, database: Database, clock: Clock, rows_max: int, metrics: Metrics) -> None:
        self._database = database
        self._clock = clock
        self._rows_max = rows_max
        self._metrics = metrics
        self._rows = 0
        self._jobs: queue.Queue[Job | None] = queue.Queue(JOBS_MAX)
        self._ingest = Ingest(metrics)
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    async def push(self, request: link_pb2.PushEventsRequest) -> int:
        """Store a request's records; return the number of the next record expected. Called on the event loop.

        The request's uid is its peer's, which the caller has checked. Raises Busy when too much waits, ChainBroken, and
        StoreFailed when the database cannot take it now.
        """
        count = len(request.records)
        if self._rows + count > self._rows_max:
            raise Busy("too many records wait to be stored", RETRY_AFTER_S)
        push = Push(request)
        self._rows += count
        self._metrics.inbox_rows.set(self._rows)
        try:
            self._put(push)
            return await asyncio.wrap_future(push.done)
        finally:
            self._rows -= count
            self._metrics.inbox_rows.set(self._rows)

    async def receive(self, rows: list[approvals.ReceiptRow]) -> int:
        """Record receipts; return how many were new.

        Raises Busy and StoreFailed.
        """
        receipts = Receipts(rows)
        self._put(receipts)
        return await asyncio.wrap_future(receipts.done)

    async def report(self, rows: list[session_states.Report]) -> int:
        """Write reports; return how many there were.

        Raises Busy and StoreFailed.
        """
        batch = ReportBatch(rows)
        self._put(batch)
        return await asyncio.wrap_future(batch.done)

    def close(self, timeout_s: float) -> None:
        """Store what waits, then end the thread."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _put(self, job: Job) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise Busy("too much waits to be stored", RETRY_AFTER_S) from None

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, ends = self._gather(first)
            self._store(jobs)
            if ends:
                return

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        """Return what comes within BATCH_WAIT_S, up to BATCH_ROWS_MAX rows, and whether the thread shall end."""
        jobs, rows, until = [first], _rows_of(first), time.monotonic() + BATCH_WAIT_S
        while rows < BATCH_ROWS_MAX:
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
            rows += _rows_of(job)
        return jobs, False

    def _store(self, jobs: list[Job]) -> None:
        try:
            with self._metrics.inbox_commit.time(), self._database.write() as connection:
                results = self._apply(connection, jobs)
        except OperationalError as error:
            # The database itself is away: no piece of the batch would fare better.
            self._fail(jobs, error)
        except Exception as error:  # noqa: BLE001  # one hostile record must not end the thread for everyone
            if len(jobs) == 1:
                self._fail(jobs, error)
            for job in jobs if len(jobs) > 1 else ():
                self._store([job])
        else:
            for job, result in zip(jobs, results, strict=True):
                _finish(job, result)

    def _fail(self, jobs: list[Job], error: Exception) -> None:
        log.error(
            "batch-not-stored", jobs=len(jobs), error=type(error).__name__, reason=str(error).split("\n")[0][:300]
        )
        for job in jobs:
            _finish(job, StoreFailed("the database cannot take this now"))

    def _apply(self, connection: Connection, jobs: list[Job]) -> list[int | ChainBroken]:
        now = self._clock()
        requests = [job.request for job in jobs if isinstance(job, Push)]
        numbers = iter(self._ingest.store(connection, requests, now))
        results: list[int | ChainBroken] = []
        for job in jobs:
            match job:
                case Push():
                    results.append(next(numbers))
                case Receipts():
                    results.append(approvals.receive(connection, job.rows, now))
                case ReportBatch():
                    session_states.write(connection, job.rows)
                    self._metrics.reports_written.inc(len(job.rows))
                    results.append(len(job.rows))
        return results


def _rows_of(job: Job) -> int:
    return max(1, len(job.request.records) if isinstance(job, Push) else len(job.rows))


def _finish(job: Job, result: int | ControllerError) -> None:
    # Whoever waited may be gone: its peer hung up.
    if not job.done.set_running_or_notify_cancel():
        return
    if isinstance(result, ControllerError):
        job.done.set_exception(result)
    else:
        job.done.set_result(result)
