"""The end of a service's main process, told by the kernel the moment it happens.

Invariant: an exit is told once per watched process, and only for the process that was meant: the start time is checked
after its descriptor is open. Only a pidfd can watch what is not one's own child; where there is none, `works` is False
and sampling alone finds exits.
"""

import logging
import os
import selectors
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from homeostat_agent.decider.watching.events import ProcessExited, Sink
from homeostat_agent.decider.watching.wakeup import WakeUp
from homeostat_agent.process_handles import open_process

# Each watched process holds a descriptor.
WATCHED_MAX = 256

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MainProcess:
    """The main process of a service; `started` in clock ticks since boot, 0 where it is not known."""

    pid: int
    started: int = 0


class ExitWatcher:
    """One thread that waits for all watched processes at once. `watch` may be called from any thread."""

    def __init__(self, sink: Sink, now: Callable[[], datetime]) -> None:
        self._sink = sink
        self._now = now
        self._lock = threading.Lock()
        self._wanted: dict[str, MainProcess] = {}
        self._open: dict[str, tuple[MainProcess, int]] = {}
        self._told: dict[str, MainProcess] = {}
        self._wake = WakeUp()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="exits", daemon=True)
        self._stopping = False
        self.works = pidfd_works()

    def start(self) -> None:
        """Begin to watch; nothing begins where there is no pidfd."""
        if self.works:
            self._selector.register(self._wake, selectors.EVENT_READ)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and give all descriptors back."""
        self._stopping = True
        self._wake.wake()
        if self._thread.ident is not None:
            self._thread.join()
        for service in list(self._open):
            self._close(service)
        self._selector.close()
        self._wake.close()

    def watch(self, processes: Mapping[str, MainProcess]) -> None:
        """Watch exactly these main processes from now on, by service name; those watched already are left alone.

        A process whose exit was told is not told again, so that this may be called with every sample.
        """
        with self._lock:
            self._wanted = dict(sorted(processes.items())[:WATCHED_MAX])
        if len(processes) > WATCHED_MAX:
            log.warning("watched=%d declared=%d message=too many services to watch", WATCHED_MAX, len(processes))
        self._wake.wake()

    def also(self, service: str, process: MainProcess) -> None:
        """Watch one service's new main process at once, beside the others."""
        with self._lock:
            if len(self._wanted) < WATCHED_MAX or service in self._wanted:
                self._wanted[service] = process
        self._wake.wake()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._wake.clear()
                else:
                    self._tell(key.data)
            self._match()

    def _match(self) -> None:
        """Open and close descriptors until those that are wanted are watched."""
        with self._lock:
            wanted = dict(self._wanted)
        for service, (process, _) in list(self._open.items()):
            if wanted.get(service) != process:
                self._close(service)
        for service, process in wanted.items():
            if service not in self._open and self._told.get(service) != process:
                self._add(service, process)
        self._told = {service: process for service, process in self._told.items() if wanted.get(service) == process}

    def _add(self, service: str, process: MainProcess) -> None:
        try:
            fd = open_process(process.pid, process.started or None)
        except OSError as error:  # no descriptor left: the next call of `watch` tries again
            log.warning("service=%s pid=%d error=%s message=cannot watch the process", service, process.pid, error)
            return
        if fd is None:
            self._say(service, process)
            return
        self._open[service] = (process, fd)
        self._selector.register(fd, selectors.EVENT_READ, service)

    def _tell(self, service: str) -> None:
        process, _ = self._open[service]
        self._say(service, process)
        self._close(service)

    def _say(self, service: str, process: MainProcess) -> None:
        self._told[service] = process
        self._sink.put(ProcessExited(service, process.pid, self._now()))

    def _close(self, service: str) -> None:
        _, fd = self._open.pop(service)
        with suppress(KeyError):
            self._selector.unregister(fd)
        os.close(fd)


def pidfd_works() -> bool:
    """Say whether this system can watch a process that is not a child."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
