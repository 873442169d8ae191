"""Ask a service whether it answers: a TCP connection, or an HTTP GET written by hand, so that no client is loaded.

The answer is yes, no, or None where this process cannot ask: no data is never taken for an answer.
"""

import errno
import re
import socket
import time

from homeostat_agent.config import Probe

_URL = re.compile(
    r"http://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]/:?#@]+)(:(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?", re.ASCII
)
_TCP = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]/:?#@]+):(?P<port>[0-9]{1,5})", re.ASCII)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_STATUS_LINE_BYTES_MAX = 4096
# The C library would cut a larger one down to another port.
_PORT_MAX = 65_535
# What says that asking is forbidden or impossible here, rather than that nobody answers.
_CANNOT_ASK = frozenset({errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def answers(probe: Probe, within_s: float) -> bool | None:
    """Say whether the service answers within the probe's own time and `within_s` seconds.

    An HTTP status from 200 to 399 is an answer; any other status, a refused connection and a time-out are not.
    """
    deadline = time.monotonic() + min(probe.timeout_s, within_s)
    found = (_URL if probe.http else _TCP).fullmatch(probe.http or probe.tcp)
    if found is None or int(found["port"] or 80) > _PORT_MAX:
        return None
    address = (found["host"].strip("[]"), int(found["port"] or 80))
    try:
        with socket.create_connection(address, timeout=_left(deadline)) as connection:
            return _asks_well(connection, found, deadline) if probe.http else True
    except socket.gaierror:
        return None  # no such name
    except OSError as error:
        return None if error.errno in _CANNOT_ASK else False


def _asks_well(connection: socket.socket, url: re.Match[str], deadline: float) -> bool:
    host = url["host"] + (f":{url['port']}" if url["port"] else "")
    request = f"GET {url['path'] or '/'} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: homeostat\r\n\r\n"
    connection.sendall(request.encode("ascii", "replace"))
    said = b""
    while b"\r\n" not in said and len(said) < _STATUS_LINE_BYTES_MAX:
        connection.settimeout(_left(deadline))
        part = connection.recv(1024)
        if not part:
            break
        said += part
    status = _STATUS.match(said)
    return status is not None and 200 <= int(status[1]) < 400


def _left(deadline: float) -> float:
    """Return the seconds left, never 0, which would mean not to block at all."""
    return max(0.001, deadline - time.monotonic())
