"""Room on a full disk: a file that only takes space, and goes when the journal needs it.

Freeing a full disk is a repair, and repairs are journalled first. Without a reserve the one would prevent the other.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 1 << 20
# Below this the journal may soon find no room; above it the reserve is made anew.
SHORT_BYTES = 2 << 20
PLENTY_BYTES = 64 << 20


def free_bytes(folder: Path) -> int:
    """Return what this user may still write below `folder`."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


class Reserve:
    """The reserve beside the journal."""

    def __init__(self, path: Path, free: Callable[[Path], int] = free_bytes) -> None:
        self._path = path
        self._free = free

    def keep(self) -> None:
        """Make the reserve if it is not there and there is plenty of room."""
        if self._path.exists() or self._free(self._path.parent) < PLENTY_BYTES:
            return
        with suppress(OSError), self._path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def give_way(self) -> None:
        """Give the reserve up if room is short."""
        if self._free(self._path.parent) < SHORT_BYTES:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
