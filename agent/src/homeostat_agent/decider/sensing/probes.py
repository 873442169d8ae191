"""Asking services whether they answer, in threads of their own.

Invariant: whoever takes a sample never waits for a service. It gets the last answer with its age, and only one that
the present process gave: a failure before a restart says nothing about the process after it.
"""

import queue
import threading
import time

from homeostat_agent.config import Probe
from homeostat_agent.probing import Answer, ask

# So many services that hang cannot keep a healthy one from being asked; each costs at most its own timeout.
THREADS_MAX = 4
# An answer older than this many timeouts is no answer: the asking itself is stuck.
AGE_TIMEOUTS_MAX = 10


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
