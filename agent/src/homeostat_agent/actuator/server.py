"""The actuator's socket: one decider at a time, known by its user, its messages handed on to the worker.

Whatever the peer does - flood, stall, send what is no message - costs it its own connection and the worker at most two
times SEND_S_MAX.
"""

import logging
import socket
import struct
import threading

from homeostat.wire.v1 import actuation_pb2
from homeostat_agent import frames
from homeostat_agent.actuator.inbox import Connected, Inbox

log = logging.getLogger(__name__)

# A decider that does not read for so long is stuck; it gets everything again when it connects anew. What is sent in
# two parts may wait twice.
SEND_S_MAX = 1.0
# Deciders that wait their turn; there is only one, and the one before it may not be quite gone.
WAITING_MAX = 4
_CREDENTIALS = struct.Struct("iII")
_SECONDS = struct.Struct("ll")


class Server:
    """Serves a listening socket. Messages go into the inbox; `send` may be called from the worker's thread only."""

    def __init__(self, listener: socket.socket, inbox: Inbox, decider_uid: int) -> None:
        self._listener = listener
        self._inbox = inbox
        self._decider_uid = decider_uid
        self._ready = actuation_pb2.Ready()
        self._peer: socket.socket | None = None
        self._peer_pid = 0
        # Ready goes out from the reader's thread, everything else from the worker's.
        self._sending = threading.Lock()

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self._serve, name="actuator-socket", daemon=True).start()

    def publish(self, ready: actuation_pb2.Ready) -> None:
        """Set what a decider is told first; the message must not be changed afterwards."""
        self._ready = ready

    def peers(self) -> tuple[int, ...]:
        """Return the connected decider's pid, if there is one."""
        return (self._peer_pid,) if self._peer is not None else ()

    def send(self, message: actuation_pb2.ActuatorMessage) -> bool:
        """Send to the connected decider; say whether it left. A decider that does not take it is cut off."""
        with self._sending:
            peer = self._peer
            if peer is None:
                return False
            try:
                frames.send(peer, message)
            except (OSError, frames.FrameError) as error:
                log.warning("event=decider-lost reason=%r", str(error))
                self._cut(peer)
                return False
        return True

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return  # the listener was closed: the actuator ends
            with connection:
                self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        pid, uid, _gid = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid != self._decider_uid:
            log.warning("event=peer-refused pid=%d uid=%d", pid, uid)
            return
        seconds = int(SEND_S_MAX)
        timeout = _SECONDS.pack(seconds, int((SEND_S_MAX - seconds) * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        log.info("event=decider-connected pid=%d", pid)
        try:
            self._greet(connection, pid)
            while (message := frames.receive(connection, actuation_pb2.DeciderMessage)) is not None:
                self._inbox.put_message(message)
        except (OSError, frames.FrameError) as error:
            log.warning("event=decider-lost reason=%r", str(error))
        with self._sending:
            self._peer = None
        log.info("event=decider-gone pid=%d", pid)

    def _greet(self, connection: socket.socket, pid: int) -> None:
        with self._sending:
            frames.send(connection, actuation_pb2.ActuatorMessage(ready=self._ready))
            self._peer, self._peer_pid = connection, pid
        self._inbox.put_event(Connected())

    def _cut(self, peer: socket.socket) -> None:
        self._peer = None
        try:
            peer.shutdown(socket.SHUT_RDWR)  # the reader's thread sees the end and closes it
        except OSError:
            return
