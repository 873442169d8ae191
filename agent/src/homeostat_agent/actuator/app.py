"""The actuator as a process: builds each object once, and is the only code of it that reads the clock.

It ends with 0 on SIGTERM, with the journal whole; a run that waits at that moment is resumed by the next start.
"""

import fcntl
import logging
import os
import select
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType

from homeostat.outcome import RunStep
from homeostat.wire import outcomes
from homeostat.wire.v1 import actuation_pb2
from homeostat_agent import code_pages
from homeostat_agent import config as configuration
from homeostat_agent.actuator import enrolment, listening, preconditions
from homeostat_agent.actuator.authority import Authority
from homeostat_agent.actuator.database import JournalError, open_database
from homeostat_agent.actuator.healer import Healer
from homeostat_agent.actuator.host.port import Host
from homeostat_agent.actuator.inbox import Inbox, Stop, Tidy
from homeostat_agent.actuator.journal import Journal
from homeostat_agent.actuator.policy_store import PolicyStore
from homeostat_agent.actuator.port import Clock, Stopping
from homeostat_agent.actuator.reserve import Reserve
from homeostat_agent.actuator.server import Server
from homeostat_agent.actuator.worker import Decider, Worker
from homeostat_agent.config import AgentConfig
from homeostat_agent.verification import verify_in_child

log = logging.getLogger(__name__)

JOURNAL = "journal.db"
LOCK = "lock"
RESERVE = "reserve"


class StartError(Exception):
    """The actuator must not or cannot run here; the message says why and what to do."""


def run(config_path: Path) -> int:
    """Run the actuator until it is told to end; return its exit code.

    Raises ConfigError and StartError, each with a message for a person.
    """
    config = configuration.load(config_path)
    objections = preconditions.objections(config_path, config)
    if objections:
        raise StartError("; ".join(objections))
    with ExitStack() as held:
        try:
            _serve(config, held)
        except (JournalError, listening.ListenError) as error:
            raise StartError(str(error)) from error
        except Stopping:
            log.info("event=stopped while=healing")
        except sqlite3.Error as error:
            # Without the journal nothing may be done. Whoever supervises starts us again, and then it may be whole.
            log.critical("event=journal-broken reason=%r", str(error))
            return 1
    return 0


def _serve(config: AgentConfig, held: ExitStack) -> None:
    data_dir = Path(config.actuator.data_dir)
    _lock(data_dir, held)
    connection = open_database(data_dir / JOURNAL)
    held.callback(connection.close)
    decider_uid = os.geteuid() if config.actuator.decider_uid < 0 else config.actuator.decider_uid
    inbox, clock = Inbox(), _RealClock()
    held.callback(clock.close)
    server = Server(_listener(config, decider_uid, held), inbox, decider_uid)
    reserve = Reserve(data_dir / RESERVE)
    journal = Journal(connection, reserve.give_way)
    authority = Authority(PolicyStore(connection), verify_in_child, lambda: enrolment.load(config), journal.is_used)
    healer = Healer(journal, _host(config, clock, server.peers), clock, _progress(server))
    worker = Worker(healer, authority, Decider(server.send, server.publish), reserve.keep)
    _take_signals(inbox, clock)
    worker.tell_ready()
    server.start()
    log.info("event=started data_dir=%s", data_dir)
    worker.start()
    code_pages.give_back()
    worker.work(inbox)
    log.info("event=stopped")


class _RealClock:
    """The system's clocks; waiting ends early, by Stopping, once `stop` was called."""

    def __init__(self) -> None:
        # A pipe and not a lock: `stop` is called from a signal, at any instruction.
        self._told, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def now(self) -> datetime:
        return datetime.now().astimezone()

    def elapsed(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        if select.select([self._told], [], [], max(0.0, seconds))[0]:
            raise Stopping

    def stop(self) -> None:
        with suppress(OSError):  # a second signal may come when everything is closed already
            os.write(self._tell, b".")

    def close(self) -> None:
        os.close(self._told)
        os.close(self._tell)


def _lock(data_dir: Path, held: ExitStack) -> None:
    """Make sure that no other actuator works on this journal."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        held.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(f"{data_dir}: another actuator runs already") from None
    except OSError as error:
        raise StartError(f"{data_dir}: {error.strerror}") from error


def _listener(config: AgentConfig, decider_uid: int, held: ExitStack) -> socket.socket:
    listener = listening.handed_over(os.environ, os.getpid())
    if listener is None:
        listener = listening.bind(config.actuator_socket, decider_uid)
        held.callback(config.actuator_socket.unlink, missing_ok=True)
    held.callback(listener.close)
    return listener


def _host(config: AgentConfig, clock: Clock, protected: Callable[[], tuple[int, ...]]) -> Host:
    if sys.platform == "win32":
        from homeostat_agent.actuator.host.windows import WindowsHost  # noqa: PLC0415  # needs pywin32

        return WindowsHost(config, clock, protected)
    from homeostat_agent.actuator.host.linux import LinuxHost  # noqa: PLC0415  # loaded only where it is used

    return LinuxHost(config, clock, protected)


def _progress(server: Server) -> Callable[[str, RunStep], None]:
    def tell(run_id: str, step: RunStep) -> None:
        progress = actuation_pb2.RunProgress(run_id=run_id, step=outcomes.run_step_to_wire(step))
        server.send(actuation_pb2.ActuatorMessage(run_progress=progress))

    return tell


def _take_signals(inbox: Inbox, clock: _RealClock) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        clock.stop()
        inbox.put_event(Stop())

    def child(_number: int, _frame: FrameType | None) -> None:
        inbox.put_event(Tidy())

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGCHLD, child)
