"""How full the fullest real file system is, in space and in inodes.

Invariant: only writable file systems on devices of this machine count; a network share that hangs must never hang the
sampling, and a read-only image is always full.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.procfs import PROC

_OCTAL = re.compile(rb"\\([0-7]{3})")
# Kinds that the kernel does not count as standing on a device, though they do.
_ON_DEVICES_TOO = frozenset({b"zfs", b"bcachefs"})
# The root of a container is worth watching whatever it is made of.
_ROOT_KINDS = frozenset({b"overlay", b"tmpfs"})
MOUNTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Fullest:
    """The highest use in percent and its mount point, for space and inodes; None where nothing could be read."""

    disk: tuple[float, str] | None = None
    inodes: tuple[float, str] | None = None


class FileSystems:
    """The machine's real file systems; which they are is read again when the mounts change."""

    def __init__(self, proc: Path = PROC) -> None:
        self._mounts = KeptFile(proc / "self/mountinfo")
        self._kinds = proc / "filesystems"
        self._seen = b""
        self._points: tuple[str, ...] = ()

    def fullest(self) -> Fullest:
        """Look at every real file system and return the worst values."""
        mounts = self._mounts.read()
        if mounts != self._seen:
            self._seen = mounts
            self._points = real_mounts(mounts, device_kinds(_bytes_of(self._kinds)))
        disk, inodes = [], []
        for point in self._points:
            use = usage_percent(point)
            if use is None:
                continue
            disk.append((use[0], point))
            inodes += [(use[1], point)] if use[1] is not None else []
        return Fullest(max(disk, default=None), max(inodes, default=None))

    def close(self) -> None:
        """Give the descriptor back."""
        self._mounts.close()


def usage_percent(path: str) -> tuple[float, float | None] | None:
    """Return the use of the file system at `path` in percent: of the space a user may fill, and of the inodes.

    None where it cannot be read or has no size; the inodes are None where the file system does not count them.
    """
    try:
        fs = os.statvfs(path)
    except OSError:
        return None
    used = fs.f_blocks - fs.f_bfree
    if used + fs.f_bavail <= 0:
        return None
    inodes = 100.0 * (fs.f_files - fs.f_ffree) / fs.f_files if fs.f_files else None
    return 100.0 * used / (used + fs.f_bavail), inodes


def device_kinds(raw: bytes) -> frozenset[bytes]:
    """Return the kinds of file system that stand on a device, from /proc/filesystems."""
    kinds = [line.split(b"\t") for line in raw.splitlines()]
    return frozenset(one[1] for one in kinds if len(one) == 2 and not one[0]) | _ON_DEVICES_TOO


def real_mounts(mountinfo: bytes, kinds: frozenset[bytes]) -> tuple[str, ...]:
    """Return the mount points to look at, the first of each device, at most MOUNTS_MAX."""
    points: dict[bytes, str] = {}
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(b" - ")
        f, g = head.split(), tail.split()
        if len(f) < 6 or len(g) < 3 or len(points) >= MOUNTS_MAX:
            continue
        writable = b"ro" not in f[5].split(b",") and b"ro" not in g[2].split(b",")
        real = g[0] in kinds or (f[4] == b"/" and g[0] in _ROOT_KINDS)
        if writable and real:
            points.setdefault(f[2], os.fsdecode(_OCTAL.sub(lambda m: bytes([int(m[1], 8)]), f[4])))
    return tuple(points.values())


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
