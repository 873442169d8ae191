"""Files of the kernel that stay open, so that each sample costs one reading and no opening.

Invariant: reading never raises for what the kernel may take away at any moment; such a file reads as empty.
"""

import os
from pathlib import Path

from homeostat_agent.procfs import CHUNK_BYTES

# The kernel hands a long table out in pieces that end at a whole line near 4096 bytes. A shorter piece was all.
LONG_BYTES = 2048
# Far above anything under /proc that is read here; a file that never ends must not fill the memory.
FILE_BYTES_MAX = 4 << 20


class KeptFile:
    """One file, opened once and read whole at each call.

    With `reopen` a file that failed is opened once more, since its path may mean something new (a control group made
    again). Without it the path is never opened a second time, so a reused process number is never read by mistake.
    """

    __slots__ = ("_fd", "_opened", "_reopen", "path")

    def __init__(self, path: str | Path, *, reopen: bool = True) -> None:
        self.path = str(path)
        self._fd = -1
        self._opened = False
        self._reopen = reopen

    def read(self) -> bytes:
        """Return the whole content, or b"" where it cannot be read."""
        if self._fd >= 0:
            try:
                return _whole(self._fd)
            except OSError:
                self.close()
        if self._opened and not self._reopen:
            return b""
        return self._first()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _first(self) -> bytes:
        self._opened = True
        try:
            self._fd = os.open(self.path, os.O_RDONLY)
            return _whole(self._fd)
        except OSError:
            self.close()
            return b""


def _whole(fd: int) -> bytes:
    first = os.pread(fd, CHUNK_BYTES, 0)
    if len(first) < LONG_BYTES:
        return first
    parts, length = [first], len(first)
    while length < FILE_BYTES_MAX:
        part = os.pread(fd, CHUNK_BYTES, length)
        if not part:
            break
        parts.append(part)
        length += len(part)
    return b"".join(parts)
