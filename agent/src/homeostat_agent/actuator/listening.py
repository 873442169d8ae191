"""The actuator's listening socket: handed over by a service manager, or made here."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from homeostat_agent.actuator.server import WAITING_MAX

_FIRST_HANDED_OVER = 3
_SOCKET_UMASK = 0o117  # 0660: its owner and group may connect


class ListenError(Exception):
    """There is nothing to listen on; the message says why."""


def handed_over(environment: Mapping[str, str], pid: int) -> socket.socket | None:
    """Return the socket that systemd opened for this very process (LISTEN_FDS), or None. Raises ListenError."""
    if environment.get("LISTEN_PID") != str(pid):
        return None
    if environment.get("LISTEN_FDS") != "1":
        raise ListenError(f"one socket is expected from the service manager, not {environment.get('LISTEN_FDS')}")
    try:
        os.set_inheritable(_FIRST_HANDED_OVER, False)
        listener = socket.socket(fileno=_FIRST_HANDED_OVER)
    except OSError as error:
        raise ListenError(f"the service manager handed over no socket: {error.strerror}") from error
    if listener.family is not socket.AF_UNIX or listener.type is not socket.SOCK_STREAM:
        listener.close()
        raise ListenError("the service manager handed over a socket that is no Unix stream socket")
    return listener


def bind(path: Path, decider_uid: int) -> socket.socket:
    """Listen at `path`, 0660, owned by the decider's user; what an earlier actuator left there goes.

    The caller makes sure that no other actuator runs. Raises ListenError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        before = os.umask(_SOCKET_UMASK)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if decider_uid != os.geteuid():
            os.chown(path, decider_uid, -1)
        listener.listen(WAITING_MAX)
    except OSError as error:
        listener.close()
        raise ListenError(f"{path}: {error.strerror or error}") from error
    return listener
