"""Asking services whether they answer, in threads of their own.

Invariant: whoever takes a sample never waits for a service. It gets the last answer with its age, and only one that
the present process gave: a failure before a restart says nothing about the process after it.
"""

import queue
import re
import socket
import threading
import time
from dataclasses import dataclass

from homeostat_agent.config import Probe

# So many services that hang cannot keep a healthy one from being asked; each costs at most its own timeout.
THREADS_MAX = 4
TIMEOUT_S_MAX = 30.0
# An answer older than this many timeouts is no answer: the asking itself is stuck.
AGE_TIMEOUTS_MAX = 10
STATUS_BYTES_MAX = 4096

_HOST = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]/:?#@\s]+)"
_URL = re.compile(rf"http://{_HOST}(:(?P<port>[0-9]{{1,5}}))?(?P<path>/[!-~]*)?", re.ASCII)
_TCP = re.compile(rf"{_HOST}:(?P<port>[0-9]{{1,5}})", re.ASCII)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: yes, no, or None where it could not be asked; `detail` says it in words."""

    answers: bool | None
    detail: str
    age_s: float = 0.0


class Probes:
    """The threads that ask, and the last answer of each service."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[str, int, Probe] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._answers: dict[str, tuple[int, Answer, float]] = {}
        self._threads = 0

    def ask(self, name: str, pid: int, probe: Probe) -> None:
        """Have the service asked in the background; nothing happens if the last question is still open."""
        with self._lock:
            if name in self._waiting:
                return
            self._waiting[name] = pid
            grow = len(self._waiting) > self._threads and self._threads < THREADS_MAX
            self._threads += grow
        self._asked.put((name, pid, probe))
        if grow:
            threading.Thread(target=self._work, name="probe", daemon=True).start()

    def last(self, name: str, pid: int, probe: Probe) -> Answer | None:
        """Return the last answer of this very process, or None if it has not answered or the answer is too old."""
        with self._lock:
            of_pid, answer, at = self._answers.get(name, (0, None, 0.0))
        age_s = time.monotonic() - at
        if answer is None or of_pid != pid or age_s > AGE_TIMEOUTS_MAX * max(probe.timeout_s, 1.0):
            return None
        return Answer(answer.answers, answer.detail, age_s)

    def close(self) -> None:
        """Let the threads end; one that waits for a service ends when that wait is over."""
        for _ in range(self._threads):
            self._asked.put(None)

    def _work(self) -> None:
        while (question := self._asked.get()) is not None:
            name, pid, probe = question
            answer = ask(probe)
            with self._lock:
                self._answers[name] = (pid, answer, time.monotonic())
                self._waiting.pop(name, None)


def ask(probe: Probe) -> Answer:
    """Ask once, within the probe's timeout. An HTTP status from 200 to 399 or an open TCP connection is a yes."""
    found = _URL.fullmatch(probe.http) if probe.http else _TCP.fullmatch(probe.tcp)
    if found is None:
        return Answer(None, f"{probe.http or probe.tcp} is no address that can be asked")
    timeout_s = min(probe.timeout_s, TIMEOUT_S_MAX)
    deadline = time.monotonic() + timeout_s
    address = (found["host"].strip("[]"), int(found["port"] or 80))
    try:
        with socket.create_connection(address, timeout=_left(deadline)) as connection:
            return _get(connection, found, deadline) if probe.http else Answer(True, "accepted a connection")
    except TimeoutError:
        return Answer(False, f"no answer within {timeout_s:g} s")
    except (OSError, OverflowError) as error:
        return Answer(False, getattr(error, "strerror", None) or str(error))


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
