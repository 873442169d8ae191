"""Tells systemd that the decider is ready, that it lives, and that it ends. Without systemd it tells nobody."""

import os
import socket
from contextlib import suppress

READY = b"READY=1"
WATCHDOG = b"WATCHDOG=1"
STOPPING = b"STOPPING=1"


def notify(state: bytes) -> bool:
    """Send one state to the service manager that asked for it; say whether it could be sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):  # a name that is in no file system begins with a zero byte
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(state, address)
        return True
    return False
