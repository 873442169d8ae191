"""watchdog's notifications for the folders that watched files lie in.

Invariant: a folder that is not there, or is another one than before, is found again by `renew`; a file that is a link
is watched where it lies and where it leads.
"""

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from homeostat_agent.decider.watching.events import Sink, WatchInterrupted, WatchResumed

WATCHER = "files"
_CHANGES = [FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent]

log = logging.getLogger(__name__)


class Notifications:
    """Calls `touch` with the path of a watched file or folder whenever something happened to it."""

    def __init__(
        self,
        files: Iterable[str],
        folders: Iterable[str],
        touch: Callable[[str], None],
        sink: Sink,
        now: Callable[[], datetime],
    ) -> None:
        self._files = tuple(files)
        self._folders = tuple(folders)
        self._observer: BaseObserver | None = None
        self._route = _Route(touch)
        self._scheduled: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}
        self._sink = sink
        self._now = now
        self._interrupted = False

    def start(self) -> None:
        """Begin to be notified."""
        self._observer = Observer()
        self._observer.start()
        self.renew()

    def stop(self) -> None:
        """End watchdog's threads."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None
            self._scheduled.clear()

    def renew(self) -> None:
        """Watch every folder as it is now, whatever was made, removed or exchanged since."""
        observer = self._observer
        if observer is None:
            return
        names = {one: path for path in self._files for one in _names(path)}
        self._route.files = names
        self._route.folders = {os.path.realpath(path): path for path in self._folders}
        wanted = {str(Path(one).parent) for one in names} | set(self._route.folders)
        there = {folder: key for folder in sorted(wanted) if (key := _identity(folder)) is not None}
        for folder, (watch, key) in list(self._scheduled.items()):
            if there.get(folder) != key:
                observer.unschedule(watch)
                del self._scheduled[folder]
        problems = [problem for folder, key in there.items() if (problem := self._schedule(observer, folder, key))]
        self._say(problems)

    def _schedule(self, observer: BaseObserver, folder: str, key: tuple[int, int]) -> str:
        """Watch one folder; return what hindered it."""
        if folder in self._scheduled:
            return ""
        try:
            watch = observer.schedule(self._route, folder, event_filter=_CHANGES)
        except OSError as error:  # the system's limit of watches, most often
            return f"{folder}: {error.strerror or error}"
        self._scheduled[folder] = (watch, key)
        return ""

    def _say(self, problems: list[str]) -> None:
        if problems and not self._interrupted:
            log.warning("watcher=%s error=%s", WATCHER, problems[0])
            self._sink.put(WatchInterrupted(WATCHER, problems[0], self._now()))
        elif self._interrupted and not problems:
            self._sink.put(WatchResumed(WATCHER, self._now()))
        self._interrupted = bool(problems)


class _Route(FileSystemEventHandler):
    """From a notification's paths to the watched path they mean, in watchdog's thread."""

    def __init__(self, touch: Callable[[str], None]) -> None:
        self._touch = touch
        self.files: dict[str, str] = {}
        self.folders: dict[str, str] = {}

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in {os.fsdecode(event.src_path), os.fsdecode(event.dest_path)} - {""}:
            for known in (self.files.get(path), self.folders.get(os.path.dirname(path))):  # noqa: PTH120  # per event
                if known is not None:
                    self._touch(known)


def _names(path: str) -> set[str]:
    """Return the paths by which notifications name a file: in its own folder, and where it leads as a link."""
    return {str(Path(os.path.realpath(Path(path).parent), Path(path).name)), os.path.realpath(path)}


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = Path(folder).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
