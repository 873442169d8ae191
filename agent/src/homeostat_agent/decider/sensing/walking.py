"""Adding up a folder in small steps.

Invariant: a walk stays on the folder's own file system, follows no link, and ends after ENTRIES_MAX entries.
"""

import os
import stat as mode
from collections.abc import Iterator
from contextlib import suppress

ENTRIES_MAX = 1_000_000
# How many entries are looked at in one step.
STEP_ENTRIES = 64


class Walk:
    """One walk through a folder, as far as it has come: `used_bytes` on the disk in `files` files."""

    def __init__(self, path: str) -> None:
        self.used_bytes = 0
        self.files = 0
        self._entries = _entries(path)
        self._left = ENTRIES_MAX
        self._several_names: set[int] = set()

    def step(self) -> bool:
        """Look at the next STEP_ENTRIES entries; say whether there may be more."""
        for _ in range(min(STEP_ENTRIES, self._left)):
            found = next(self._entries, None)
            if found is None:
                return False
            self._count(found)
        self._left -= STEP_ENTRIES
        return self._left > 0

    def _count(self, found: os.stat_result) -> None:
        if mode.S_ISDIR(found.st_mode):
            return
        if found.st_nlink > 1:  # a file with several names takes its space once
            if found.st_ino in self._several_names:
                return
            self._several_names.add(found.st_ino)
        self.used_bytes += disk_bytes(found)
        self.files += 1


def disk_bytes(found: os.stat_result) -> int:
    """Return what a file takes on the disk; its length where the system does not tell."""
    blocks: int | None = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else blocks * 512


def _entries(path: str) -> Iterator[os.stat_result]:
    """Yield what lies below `path`; what cannot be read is passed over."""
    waiting = [path]
    with suppress(OSError):
        device = os.lstat(path).st_dev
        while waiting:
            for entry, found in _listing(waiting.pop()):
                if found.st_dev != device:
                    continue
                if mode.S_ISDIR(found.st_mode):
                    waiting.append(entry.path)
                yield found


def _listing(path: str) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            with suppress(OSError):
                yield entry, entry.stat(follow_symlinks=False)
