"""Ask a service once whether it answers: a TCP connection, or an HTTP GET written by hand, so that no client is loaded.

Invariant: the answer is yes, no, or None where this process cannot ask: no data is never taken for an answer.
"""

import errno
import re
import socket
import time
from dataclasses import dataclass

from homeostat_agent.config import Probe

TIMEOUT_S_MAX = 30.0
STATUS_BYTES_MAX = 4096
# The C library would cut a larger one down to another port.
PORT_MAX = 65_535

_HOST = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]/:?#@\s]+)"
_URL = re.compile(rf"http://{_HOST}(:(?P<port>[0-9]{{1,5}}))?(?P<path>/[!-~]*)?", re.ASCII)
_TCP = re.compile(rf"{_HOST}:(?P<port>[0-9]{{1,5}})", re.ASCII)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
# What says that asking is forbidden or impossible here, rather than that nobody answers.
_CANNOT_ASK = frozenset({errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: yes, no, or None where it could not be asked; `detail` says it in words."""

    answers: bool | None
    detail: str
    age_s: float = 0.0


def ask(probe: Probe, within_s: float = TIMEOUT_S_MAX) -> Answer:
    """Ask once, within the probe's own time and `within_s` seconds.

    An HTTP status from 200 to 399 or an open TCP connection is a yes; any other status, a refused connection and
    silence are a no.
    """
    found = (_URL if probe.http else _TCP).fullmatch(probe.http or probe.tcp)
    if found is None or int(found["port"] or 80) > PORT_MAX:
        return Answer(None, f"{probe.http or probe.tcp} is no address that can be asked")
    timeout_s = min(probe.timeout_s, within_s)
    deadline = time.monotonic() + timeout_s
    address = (found["host"].strip("[]"), int(found["port"] or 80))
    try:
        with socket.create_connection(address, timeout=_left(deadline)) as connection:
            return _get(connection, found, deadline) if probe.http else Answer(True, "accepted a connection")
    except TimeoutError:
        return Answer(False, f"no answer within {timeout_s:g} s")
    except (socket.gaierror, UnicodeError) as error:
        return Answer(None, f"{found['host']} is no name that is known here: {error}")
    except OSError as error:
        return Answer(None if error.errno in _CANNOT_ASK else False, error.strerror or str(error))


def _get(connection: socket.socket, url: re.Match[str], deadline: float) -> Answer:
    host = url["host"] + (f":{url['port']}" if url["port"] else "")
    request = f"GET {url['path'] or '/'} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: homeostat\r\n\r\n"
    connection.settimeout(_left(deadline))
    connection.sendall(request.encode("ascii", "replace"))
    said = b""
    while b"\n" not in said and len(said) < STATUS_BYTES_MAX:
        connection.settimeout(_left(deadline))
        part = connection.recv(1024)
        if not part:
            break
        said += part
    status = _STATUS.match(said)
    if status is None:
        return Answer(False, "the answer is not HTTP" if said else "closed the connection without an answer")
    return Answer(200 <= int(status[1]) < 400, f"HTTP status {int(status[1])}")


def _left(deadline: float) -> float:
    """Return the seconds left, never 0, which would mean not to block at all."""
    return max(0.001, deadline - time.monotonic())
