"""Watched files and folders: changed, gone, back, no longer valid.

Invariant: what is told is what a look at the file found, never what a notification claimed; and everything is looked at
again every LOOK_AGAIN_S, so that a lost notification delays an event and loses none.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.watching import fingerprints
from homeostat_agent.decider.watching.check_queue import CheckQueue
from homeostat_agent.decider.watching.checking import Verdict
from homeostat_agent.decider.watching.events import FileChange, FileChanged, FileRole, Sink
from homeostat_agent.decider.watching.fingerprints import Listing
from homeostat_agent.decider.watching.notifications import Notifications

# A file is looked at when it has been quiet for this long, or when it has not been quiet for the longer time.
QUIET_S = 0.2
QUIET_S_MAX = 2.0
LOOK_AGAIN_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileWatch:
    """One file; `check` exits with 0 if its content is valid."""

    role: FileRole
    name: str
    path: str
    check: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderWatch:
    """The files directly in one folder."""

    role: FileRole
    path: str


def declared(config: AgentConfig, config_path: Path) -> tuple[FileWatch, ...]:
    """Return the watches for the configuration file itself and for every file it declares."""
    own = FileWatch(FileRole.CONFIG, config_path.name, str(config_path))
    return (own, *(FileWatch(FileRole.WATCHED, one.name, one.path, one.check) for one in config.watched_file))


class FileWatcher:
    """One thread that looks, woken by watchdog's notifications; checks run in another."""

    def __init__(
        self, files: Iterable[FileWatch], folders: Iterable[FolderWatch], sink: Sink, now: Callable[[], datetime]
    ) -> None:
        self._files = {one.path: one for one in files}
        self._folders = {one.path: one for one in folders}
        self._sink = sink
        self._now = now
        self._changed = threading.Condition()
        self._touched: dict[str, tuple[float, float]] = {}
        self._stopping = False
        self._seen: dict[str, bytes | None] = {}
        self._listed: dict[str, Listing] = {}
        self._invalid: dict[str, str] = {}
        self._notifications = Notifications(self._files, self._folders, self._touch, sink, now)
        self._checks = CheckQueue(self._judged)
        self._thread = threading.Thread(target=self._run, name="files", daemon=True)

    def start(self) -> None:
        """Take note of everything as it is, tell what is missing, and begin to watch."""
        self._notifications.start()
        for path in self._files:
            self._seen[path] = _fingerprint(path)
            if self._seen[path] is None:
                self._tell(path, FileChange.MISSING)
            else:
                self._ask(path)
        self._listed = {path: fingerprints.of_folder(path) for path in self._folders}
        self._thread.start()

    def stop(self) -> None:
        """End all threads; a check that still runs is waited for, up to its own bound."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._notifications.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._checks.stop()

    def _touch(self, path: str) -> None:
        now = time.monotonic()
        with self._changed:
            first, _ = self._touched.get(path, (now, now))
            self._touched[path] = (first, now)
            self._changed.notify()

    def _run(self) -> None:
        look_again_at = time.monotonic() + LOOK_AGAIN_S
        while (paths := self._wait(look_again_at)) is not None:
            if time.monotonic() >= look_again_at:
                look_again_at = time.monotonic() + LOOK_AGAIN_S
                self._notifications.renew()
                self._ask_again()
                paths = [*self._files, *self._folders]
            for path in paths:
                if path in self._files:
                    self._look_at_file(path)
                if path in self._folders:
                    self._look_at_folder(path)

    def _wait(self, until: float) -> Sequence[str] | None:
        """Wait for paths that have become quiet, or for `until`; None when the watcher is to stop."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                due = {path: _due(first, last) for path, (first, last) in self._touched.items()}
                ready = [path for path, at in due.items() if at <= now]
                if ready or now >= until:
                    for path in ready:
                        del self._touched[path]
                    return ready
                self._changed.wait(min([until, *due.values()]) - now)
            return None

    def _look_at_file(self, path: str) -> None:
        try:
            found = fingerprints.of_file(path)
        except OSError as error:
            log.warning("path=%s error=%s message=cannot be looked at", path, error.strerror)
            return
        before, self._seen[path] = self._seen.get(path), found
        if found == before:
            return
        if found is None:
            self._tell(path, FileChange.MISSING)
            return
        if before is None:
            self._invalid.pop(path, None)  # a new life: what its check says now is news either way
        self._tell(path, FileChange.BACK if before is None else FileChange.CHANGED)
        self._ask(path)

    def _look_at_folder(self, path: str) -> None:
        before, now = self._listed[path], fingerprints.of_folder(path)
        self._listed[path] = now
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                change = FileChange.CHANGED if name in now else FileChange.MISSING
                role, whole = self._folders[path].role, str(Path(path, name))
                self._sink.put(FileChanged(role, name, whole, change, self._now()))

    def _ask(self, path: str) -> None:
        if self._files[path].check:
            self._checks.ask(path, self._files[path].check)

    def _ask_again(self) -> None:
        """Check what was invalid once more: what it depends on may be right again."""
        for path in list(self._invalid):
            if self._seen[path] is not None:
                self._ask(path)

    def _judged(self, path: str, verdict: Verdict) -> None:
        """Take a check's verdict, in the checking thread."""
        if verdict.valid is None:
            log.warning("path=%s message=%s", path, verdict.said)
        elif not verdict.valid:
            before, self._invalid[path] = self._invalid.get(path), verdict.said
            if verdict.said != before:
                self._tell(path, FileChange.INVALID, verdict.said)
        elif self._invalid.pop(path, None) is not None:
            self._tell(path, FileChange.VALID, verdict.said)

    def _tell(self, path: str, change: FileChange, detail: str = "") -> None:
        watch = self._files[path]
        self._sink.put(FileChanged(watch.role, watch.name, watch.path, change, self._now(), detail))


def _fingerprint(path: str) -> bytes | None:
    try:
        return fingerprints.of_file(path)
    except OSError:
        return os.fsencode(path)  # it cannot be looked at: that is not the same as missing


def _due(first: float, last: float) -> float:
    return min(last + QUIET_S, first + QUIET_S_MAX)
