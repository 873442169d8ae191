"""The decider's end of the actuator's socket: messages out, messages in, and a new connection after every end.

One thread connects and reads; any thread may send. Nothing sent is remembered here but the policy's being due: after
each new connection the caller says again what still matters.
"""

import logging
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from google.protobuf.message import Message

from homeostat.wire.v1 import actuation_pb2
from homeostat_agent import frames
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.actuator_child import ActuatorChild

# An actuator that does not read for so long is stuck; it is connected to anew.
SEND_S_MAX = 2.0
# Between two tries to connect: the first ones quick, because an actuator starts in about 0.1 s.
RETRY_S_FIRST = 0.02
RETRY_S_MAX = 1.0
STOP_S_MAX = 10.0
_CREDENTIALS = struct.Struct("iII")
_SECONDS = struct.Struct("ll")

log = logging.getLogger(__name__)


class ActuatorLink:
    """The connection to the actuator. `told` gets its messages, `gone` the reason when there is no connection."""

    def __init__(
        self,
        config: AgentConfig,
        config_path: Path,
        told: Callable[[actuation_pb2.ActuatorMessage], None],
        gone: Callable[[str], None],
    ) -> None:
        self._path = config.actuator_socket
        self._child = ActuatorChild(config_path) if config.actuator.start == "child" else None
        self._told = told
        self._gone = gone
        self._connection: socket.socket | None = None
        self._peer_pid = 0
        self._sending = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="actuator", daemon=True)

    @property
    def peer_pid(self) -> int:
        """The connected actuator's process, 0 while there is none."""
        return self._peer_pid if self._connection is not None else 0

    def start(self) -> None:
        """Begin to connect, and to start the actuator where that is the decider's to do."""
        self._thread.start()

    def stop(self) -> None:
        """End the connection, and the actuator where the decider starts it. A run that goes on is resumed later."""
        self._stopped.set()
        if self._child is not None and self.peer_pid:
            with suppress(OSError):
                os.kill(self.peer_pid, signal.SIGTERM)  # it is alive, or the connection would have ended
        else:
            self._cut()
        if self._thread.ident is not None:
            self._thread.join(STOP_S_MAX)
        self._cut()
        if self._child is not None:
            self._child.stop()

    def send(self, **message: Message) -> bool:
        """Send one DeciderMessage, given as its one field; say whether it left."""
        built = actuation_pb2.DeciderMessage(**message)  # type: ignore[arg-type]  # one of the message's own fields
        with self._sending:
            if self._connection is None:
                return False
            try:
                frames.send(self._connection, built)
            except (OSError, frames.FrameError) as error:
                log.warning("event=actuator-lost reason=%r", str(error))
                self._cut()
                return False
        return True

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopped.wait(wait_s):
            wait_s = min(max(wait_s * 2, RETRY_S_FIRST), RETRY_S_MAX)
            try:
                connection = self._connect()
            except OSError as error:
                self._gone(f"The actuator at {self._path} does not answer: {error.strerror or error}.")
                continue
            wait_s = 0.0
            reason = self._read(connection)
            if not self._stopped.is_set():
                self._gone(reason)

    def _connect(self) -> socket.socket:
        """Connect; where nobody listens, see to it that somebody will."""
        if self._child is not None:
            self._child.reap()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._path))
            self._check(connection)
        except OSError:
            connection.close()
            if self._child is not None:
                self._child.start_if_needed()
            raise
        return connection

    def _check(self, connection: socket.socket) -> None:
        """Take messages from root or from our own user only, and never be held up by a peer that does not read."""
        pid, uid, _gid = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid not in {0, os.geteuid()}:
            raise OSError(f"user {uid} listens there, who is neither root nor our own")
        seconds = int(SEND_S_MAX)
        timeout = _SECONDS.pack(seconds, int((SEND_S_MAX - seconds) * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        self._peer_pid = pid

    def _read(self, connection: socket.socket) -> str:
        """Pass on what comes until the connection ends; return why it ended."""
        with connection:
            self._connection = connection
            log.info("event=actuator-connected pid=%d", self._peer_pid)
            try:
                while (message := frames.receive(connection, actuation_pb2.ActuatorMessage)) is not None:
                    self._told(message)
            except (OSError, frames.FrameError) as error:
                return f"The connection to the actuator broke: {error}."
            finally:
                with self._sending:
                    self._connection = None
        return "The actuator has ended; it is being started again." if self._child else "The actuator has ended."

    def _cut(self) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # the reading thread sees the end and closes it
