"""Checks that wait for the one thread that runs them.

Invariant: a path waits at most once; one that is asked for while its check runs is checked once more after it.
"""

import threading
from collections.abc import Callable

from homeostat_agent.decider.watching.checking import CHECK_S_MAX, Verdict, run_check


class CheckQueue:
    """Runs checks one after another; the thread begins with the first of them."""

    def __init__(self, judged: Callable[[str, Verdict], None], within_s: float = CHECK_S_MAX) -> None:
        self._judged = judged
        self._within_s = within_s
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[str, ...]] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False

    def ask(self, path: str, argv: tuple[str, ...]) -> None:
        """Have a file checked soon; `judged` is called with the verdict in the checking thread."""
        with self._changed:
            if self._stopping:
                return
            self._waiting[path] = argv
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="checks", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Forget what waits, and end after the check that runs."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (asked := self._next()) is not None:
            path, argv = asked
            self._judged(path, run_check(argv, self._within_s))

    def _next(self) -> tuple[str, tuple[str, ...]] | None:
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            path = next(iter(self._waiting))
            return path, self._waiting.pop(path)
