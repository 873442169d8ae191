"""Use of each declared folder: its own size against its limit, or its file system's use.

Invariant: a walk goes on in slices of at most SLICE_S per sample, and a new one begins only when that keeps the walking
below WALK_SHARE of a cpu, or when the file system's use says that the folder may have passed its limit meanwhile.
"""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass

from homeostat_agent.config import Folder
from homeostat_agent.decider.sensing.port import FolderReading
from homeostat_agent.decider.sensing.walking import Walk

MIB = 1 << 20
SLICE_S = 0.005
FIRST_SLICE_S = 0.05
WALK_SHARE = 0.0005
# When the limit may have been passed, walking may cost this much.
HASTE_SHARE = 0.01


@dataclass(slots=True)
class Watched:
    """What is known of one folder with a limit: the last whole walk and its cost, and the walk that goes on."""

    folder: Folder
    reading: FolderReading | None = None
    cost_s: float = 0.0
    ended_at: float = 0.0
    walk: Walk | None = None
    walk_cost_s: float = 0.0
    # The file system's use when the last walk began: what it grew by since, the folder may have grown by.
    file_system_bytes: int = 0


class Folders:
    """All declared folders."""

    def __init__(self, folders: Iterable[Folder]) -> None:
        declared = tuple(folders)
        self._limited = [Watched(one) for one in declared if one.limit_mib > 0]
        self._others = [one for one in declared if one.limit_mib <= 0]

    def read(self) -> tuple[FolderReading, ...]:
        """Return a reading of each folder; of a large one it may be some samples old, and absent until the first."""
        for one in self._limited:
            _go_on(one, SLICE_S / len(self._limited) if one.reading else FIRST_SLICE_S)
        readings = [one.reading for one in self._limited] + [_file_system(one) for one in self._others]
        return tuple(one for one in readings if one is not None)


def _go_on(one: Watched, slice_s: float) -> None:
    if one.walk is None and _is_due(one):
        one.walk, one.walk_cost_s = Walk(one.folder.path), 0.0
        one.file_system_bytes = _used_bytes(one.folder.path)
    if one.walk is None:
        return
    until, began = time.monotonic() + slice_s, time.thread_time()
    more = True
    while more and time.monotonic() < until:
        more = one.walk.step()
    one.walk_cost_s += time.thread_time() - began
    if not more:
        _take(one, one.walk)


def _take(one: Watched, walk: Walk) -> None:
    one.walk, one.cost_s, one.ended_at = None, one.walk_cost_s, time.monotonic()
    limit = int(one.folder.limit_mib * MIB)
    there = os.path.isdir(one.folder.path)  # noqa: PTH112  # a text from the configuration, asked once per walk
    percent = 100.0 * walk.used_bytes / limit
    one.reading = FolderReading(one.folder.name, percent, walk.used_bytes, limit, walk.files) if there else None


def _is_due(one: Watched) -> bool:
    """Say whether walking again costs little enough by now, or is needed."""
    rested_s = time.monotonic() - one.ended_at
    if one.reading is None or rested_s >= one.cost_s / WALK_SHARE:
        return True
    moved = _used_bytes(one.folder.path) - one.file_system_bytes
    room = one.reading.limit_bytes - one.reading.used_bytes
    passed = moved >= room if room > 0 else moved < 0
    return passed and rested_s >= one.cost_s / HASTE_SHARE


def _file_system(folder: Folder) -> FolderReading | None:
    try:
        use = shutil.disk_usage(folder.path)
    except OSError:
        return None
    whole = max(use.used + use.free, 1)  # without what only root may fill
    return FolderReading(folder.name, 100.0 * use.used / whole, use.used, whole, 0)


def _used_bytes(path: str) -> int:
    try:
        return shutil.disk_usage(path).used
    except OSError:
        return 0
