"""One thread owns the store; everybody else hands it work and, where it matters, waits for the answer.

A future is fulfilled only after the commit that contains its work. Works that wait together share one commit, each in
a savepoint of its own, so that one that fails takes nothing of another's with it.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider.store.database import StoreError, is_damage, open_database, open_for_reading
from homeostat_agent.decider.store.incidents import IncidentStore
from homeostat_agent.decider.store.policies import PolicyStore
from homeostat_agent.decider.store.spool import Spool, SpoolFull
from homeostat_agent.decider.store.state import State

WAITING_MAX = 1000
# How long a caller is held back when WAITING_MAX works wait, before it gets an error instead.
SUBMIT_WAIT_S = 10.0
SHARED_COMMIT_MAX = 64
STOP_S_MAX = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stores:
    """All that is kept, over one connection and inside one transaction."""

    spool: Spool
    policies: PolicyStore
    incidents: IncidentStore
    state: State


@dataclass(frozen=True, slots=True)
class _Work:
    call: Callable[[Stores], Any]
    future: "Future[Any]"


class Recorder:
    """The owner of the store file; start it once, hand it work from any thread, stop it last.

    `now` returns the time, aware; it names a file that is set aside and stamps the notice about it.
    """

    def __init__(
        self, path: Path, spool_bytes_max: int, now: Callable[[], datetime], *, submit_wait_s: float = SUBMIT_WAIT_S
    ) -> None:
        self._path = path
        self._spool_bytes_max = spool_bytes_max
        self._now = now
        self._submit_wait_s = submit_wait_s
        self._works: queue.Queue[_Work | None] = queue.Queue(WAITING_MAX)
        self._closed = True
        self._submitting = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="recorder", daemon=True)

    def start(self) -> None:
        """Open the store and begin. Raises StoreError when the file cannot be reached."""
        self._open()
        self._closed = False
        self._thread.start()

    def submit(self, work: Callable[[Stores], T]) -> "Future[T]":
        """Have `work` done in a transaction on the recorder's thread; the future is done once it is committed.

        `work` touches nothing but the stores, for it is called again when its transaction had to be rolled back; and
        it must not wait for another work. Raises StoreError when the recorder is stopped, or has fallen so far
        behind that WAITING_MAX works wait for SUBMIT_WAIT_S.
        """
        future: Future[T] = Future()
        with self._submitting:
            if self._closed:
                raise StoreError("the recorder is stopped")
            try:
                self._works.put(_Work(work, future), timeout=self._submit_wait_s)
            except queue.Full:
                raise StoreError(f"{WAITING_MAX} works wait for the disk") from None
        return future

    def stop(self) -> None:
        """Do all work that waits, then close the file."""
        with self._submitting:
            if self._closed:
                return
            self._closed = True
        self._works.put(None)
        self._thread.join(STOP_S_MAX)

    def _open(self) -> None:
        opened = open_database(self._path, self._now())
        self._connection = opened.connection
        self._damaged = False
        self._stores = _stores(opened.connection, self._spool_bytes_max)
        if opened.set_aside is not None:
            sentence = f"The store was set aside as {opened.set_aside.name} and begun anew: {opened.why}."
            event = link_pb2.Event(notice=link_pb2.Notice(code="store-set-aside", sentence=sentence))
            event.at.FromDatetime(self._now())
            with suppress(SpoolFull):  # it is empty; only an absurdly small bound could be too small
                self._stores.spool.append(event.SerializeToString())

    def _serve(self) -> None:
        while (works := self._take()) is not None:
            self._do(works)
        self._connection.close()

    def _take(self) -> list[_Work] | None:
        first = self._works.get()
        if first is None:
            return None
        works = [first]
        while len(works) < SHARED_COMMIT_MAX:
            try:
                work = self._works.get_nowait()
            except queue.Empty:
                break
            if work is None:
                self._works.put(None)  # stop() is waiting: after these
                break
            works.append(work)
        return works

    def _do(self, works: list[_Work]) -> None:
        wanted = [work for work in works if work.future.set_running_or_notify_cancel()]
        try:
            answers = self._commit(wanted)
        except (sqlite3.Error, StoreError) as error:
            self._give_up(error)
            # Rolled back, so each may be tried alone: only those the disk cannot take shall fail.
            alone = len(wanted) > 1
            answers = [self._do_alone(work) if alone else (None, self._store_error(error)) for work in wanted]
        for work, (value, failure) in zip(wanted, answers, strict=True):
            if failure is None:
                work.future.set_result(value)
            else:
                work.future.set_exception(failure)

    def _do_alone(self, work: _Work) -> tuple[Any, Exception | None]:
        try:
            (answer,) = self._commit([work])
        except (sqlite3.Error, StoreError) as error:
            self._give_up(error)
            return None, self._store_error(error)
        return answer

    def _store_error(self, error: Exception) -> StoreError:
        return error if isinstance(error, StoreError) else StoreError(f"{self._path}: {error}")

    def _commit(self, works: list[_Work]) -> list[tuple[Any, Exception | None]]:
        if self._damaged:
            self._open()
        self._connection.execute("BEGIN IMMEDIATE")
        answers = [self._do_one(work) for work in works]
        self._connection.execute("COMMIT")
        return answers

    def _do_one(self, work: _Work) -> tuple[Any, Exception | None]:
        self._connection.execute("SAVEPOINT work")
        try:
            value = work.call(self._stores)
        except Exception as error:  # it belongs to whoever holds the future
            # Some errors of the disk end the whole transaction; then nothing of this commit stands.
            if is_damage(error) or not self._connection.in_transaction:
                raise sqlite3.DatabaseError(str(error)) from error
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return None, error
        self._connection.execute("RELEASE work")
        return value, None

    def _give_up(self, error: Exception) -> None:
        if self._damaged:
            return
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        if is_damage(error) or is_damage(error.__cause__ or error):
            # The next work opens it again, which sets the damaged file aside.
            self._connection.close()
            self._damaged = True


@contextmanager
def reading(path: Path, spool_bytes_max: int) -> Iterator[Stores]:
    """Give the stores for reading, beside a decider that runs. Raises StoreError where there is nothing to read."""
    connection = open_for_reading(path)
    try:
        connection.execute("BEGIN")
        yield _stores(connection, spool_bytes_max)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    finally:
        connection.close()


def _stores(connection: sqlite3.Connection, spool_bytes_max: int) -> Stores:
    return Stores(
        Spool(connection, spool_bytes_max), PolicyStore(connection), IncidentStore(connection), State(connection)
    )
