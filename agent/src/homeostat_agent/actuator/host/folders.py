"""Declared folders: how much they hold, and which of their files may go. No path is followed, only descriptors.

The walk opens each directory below its parent's descriptor and never through a symbolic link, stays on one file
system, and lists only regular files with a single name. What it may not read it passes over. A file whose name cannot
be printed counts but is never listed: a plan could not write it down.
"""

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from homeostat_agent.actuator.host.port import FileFacts
from homeostat_agent.config import Folder

# A walk ends in Missing rather than in a wrong number when it meets more than this.
ENTRIES_MAX = 500_000
DEPTH_MAX = 32
# More than one plan holds, so that the plan can say that there are others.
LISTED_MAX = 4000
_BLOCK_BYTES = 512
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class WalkError(Exception):
    """The folder could not be walked whole; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a folder: what all its files take on the disk, and the ones that may go, oldest first."""

    used_bytes: int = 0
    files: tuple[FileFacts, ...] = ()
    listed_all: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """One directory entry that is a regular file."""

    path: str
    status: os.stat_result

    @property
    def disk_bytes(self) -> int:
        """What it takes on the disk."""
        return self.status.st_blocks * _BLOCK_BYTES


def contents(
    folder: Folder, modified_before_ns: int | None, *, entries_max: int = ENTRIES_MAX, listed_max: int = LISTED_MAX
) -> Contents:
    """Walk a folder; list the files that may go if `modified_before_ns` is given.

    Raises WalkError where the folder itself is missing or unreadable, or too large.
    """
    used = count = 0
    oldest: list[tuple[int, str, FileFacts]] = []
    for found in _Walk(folder.path, entries_max).files():
        used += found.disk_bytes
        if modified_before_ns is None or not _may_go(found, folder, modified_before_ns):
            continue
        count += 1
        facts = FileFacts(found.path, found.status.st_size, found.disk_bytes, found.status.st_mtime_ns)
        entry = (-facts.modified_ns, facts.path, facts)
        if len(oldest) < listed_max:
            heapq.heappush(oldest, entry)
        else:
            heapq.heappushpop(oldest, entry)
    files = tuple(entry[2] for entry in sorted(oldest, key=lambda one: (-one[0], one[1])))
    return Contents(used, files, listed_all=count == len(files))


def space(folder: Folder) -> tuple[int, int]:
    """Return what is used of the folder's file system and what is its limit, in bytes, as df counts.

    Raises WalkError where the folder is missing.
    """
    try:
        status = os.statvfs(folder.path)
    except OSError as error:
        raise WalkError(f"{folder.path}: {error.strerror}.") from error
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    return used, used + status.f_bavail * status.f_frsize


def may_go(path: str, status: os.stat_result, folder: Folder, device: int) -> bool:
    """Say whether a file is of the kind that may be removed: regular, one name, this file system, a declared name."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_nlink == 1
        and status.st_dev == device
        and any(fnmatchcase(path.rpartition("/")[2], pattern) for pattern in folder.patterns)
    )


def open_directory(folder: Folder, below: tuple[str, ...] = ()) -> int:
    """Return a descriptor of the folder, or of a directory below it, reached without following any link.

    The caller closes it. Raises OSError.
    """
    descriptor = os.open(folder.path, _DIRECTORY)
    for name in below:
        parent = descriptor
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        finally:
            os.close(parent)
    return descriptor


def _may_go(found: Found, folder: Folder, modified_before_ns: int) -> bool:
    if found.status.st_mtime_ns > modified_before_ns or not found.path.isprintable():
        return False
    return may_go(found.path, found.status, folder, found.status.st_dev)


class _Walk:
    """One walk below one directory, on one device, with a count of what it may still look at."""

    def __init__(self, root: str, entries_max: int) -> None:
        self._root = root
        self._entries_max = self._left = entries_max
        self._device = 0
        self._several_names: set[int] = set()

    def files(self) -> Iterator[Found]:
        """Yield every regular file. Raises WalkError."""
        try:
            top = os.open(self._root, _DIRECTORY)
        except OSError as error:
            raise WalkError(f"{self._root}: {error.strerror}.") from error
        self._device = os.fstat(top).st_dev
        yield from self._below(top, "", DEPTH_MAX)

    def _below(self, descriptor: int, path: str, depth: int) -> Iterator[Found]:
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    yield from self._one(descriptor, entry, path + entry.name, depth)
        finally:
            os.close(descriptor)

    def _one(self, parent: int, entry: "os.DirEntry[str]", path: str, depth: int) -> Iterator[Found]:
        self._left -= 1
        if self._left < 0:
            raise WalkError(f"{self._root} holds more than {self._entries_max} entries.")
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                if not self._counted(status):
                    yield Found(path, status)
            elif stat.S_ISDIR(status.st_mode) and status.st_dev == self._device:
                if depth == 0:
                    raise WalkError(f"{self._root} is more than {DEPTH_MAX} directories deep.")
                yield from self._below(os.open(entry.name, _DIRECTORY, dir_fd=parent), f"{path}/", depth - 1)
        except OSError:
            return  # it went while we looked, or is not ours to see

    def _counted(self, status: os.stat_result) -> bool:
        """Say whether a file of several names was counted before: it takes its space once."""
        if status.st_nlink == 1:
            return False
        if status.st_ino in self._several_names:
            return True
        self._several_names.add(status.st_ino)
        return False
