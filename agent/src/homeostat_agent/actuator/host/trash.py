"""Take a file out of a declared folder, bring it back, and forget what has lain in the trash for too long.

A file is moved first and looked at again where nobody else can write; only then is it what it was planned to be. If a
racer has put another one in its place, that one goes back. So nothing else than the planned file is ever removed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from homeostat.plan import RemoveFile, RestoreFile
from homeostat_agent.actuator.host import folders
from homeostat_agent.actuator.host.port import StepResult
from homeostat_agent.config import Folder

# How long and how much is kept for a person who wants a file back after a repair that helped.
KEPT_S_MAX = 24 * 3600.0
KEPT_BYTES_MAX = 1 << 30
# A file name has at most 255 bytes; 33 go for the digest.
_NAME_BYTES_MAX = 200
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Trash:
    """The trash below `root`, one directory for each declared folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def serves(self, folder: Folder) -> bool:
        """Say whether files of the folder can be moved here: it must be on the same file system."""
        try:
            self._root.mkdir(mode=0o700, exist_ok=True)
            return self._root.stat().st_dev == Path(folder.path).stat().st_dev
        except OSError:
            return False

    def remove(self, folder: Folder, step: RemoveFile) -> StepResult:
        """Take the file out if it is still what was seen; one that has changed or gone is left alone."""
        below = _parts(step.path)
        if below is None:
            return StepResult(ok=False, detail=f"{step.path!r} is no path below a folder")
        try:
            with self._inside(folder) as inside, _directory(folder, below[:-1]) as (directory, device):
                return _take(directory, folder, step, inside, device)
        except FileNotFoundError:
            return StepResult(ok=True, detail=f"{step.path} was gone already")
        except OSError as error:
            return StepResult(ok=False, detail=f"{step.path}: {error.strerror}")

    def restore(self, folder: Folder, step: RestoreFile) -> StepResult:
        """Bring the file back, unless its place has been taken; it then stays in the trash."""
        below = _parts(step.path)
        if below is None:
            return StepResult(ok=False, detail=f"{step.path!r} is no path below a folder")
        kept = kept_name(step.path)
        try:
            with self._inside(folder) as inside:
                if inside is None or not _exists(inside, kept):
                    return StepResult(ok=True, detail=f"{step.path} was not in the trash")
                with _directory(folder, below[:-1]) as (directory, _device):
                    _put(inside, kept, directory, below[-1])
        except FileExistsError:
            return StepResult(ok=False, detail=f"{step.path}: its place has been taken; it stays in the trash")
        except OSError as error:
            return StepResult(ok=False, detail=f"{step.path}: {error.strerror}; it stays in the trash")
        return StepResult(ok=True, detail=f"{step.path} is back")

    def purge(self, now_s: float) -> int:
        """Remove for good what was moved here more than KEPT_S_MAX ago or exceeds KEPT_BYTES_MAX; return how many."""
        kept = sorted(_kept_files(self._root), key=lambda one: one[0], reverse=True)
        removed = total = 0
        for moved_at, size_bytes, path in kept:
            total += size_bytes
            if now_s - moved_at > KEPT_S_MAX or total > KEPT_BYTES_MAX:
                with suppress(OSError):
                    path.unlink()
                    removed += 1
        return removed

    @contextmanager
    def _inside(self, folder: Folder) -> Iterator[int | None]:
        """Give the descriptor of the folder's part of the trash, or None where the trash cannot serve it."""
        if not self.serves(folder):
            yield None
            return
        part = self._root / folder.name
        part.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(part, _DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def kept_name(path: str) -> str:
    """Return what a file is called in the trash: unlike any other path's, and still to be recognised by a person."""
    name = path.rpartition("/")[2].encode()[:_NAME_BYTES_MAX].decode(errors="ignore")
    return f"{sha256(path.encode()).hexdigest()[:32]}-{name}"


def _parts(path: str) -> tuple[str, ...] | None:
    parts = tuple(path.split("/"))
    return None if any(part in {"", ".", ".."} or "\0" in part for part in parts) else parts


@contextmanager
def _directory(folder: Folder, below: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Give the descriptor of the file's directory, and the device of the folder that it must be on."""
    top = folders.open_directory(folder)
    device = os.fstat(top).st_dev
    os.close(top)
    descriptor = folders.open_directory(folder, below)
    try:
        yield descriptor, device
    finally:
        os.close(descriptor)


def _take(directory: int, folder: Folder, step: RemoveFile, inside: int | None, device: int) -> StepResult:
    name, kept = step.path.rpartition("/")[2], kept_name(step.path)
    seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not folders.may_go(step.path, seen, folder, device):
        return StepResult(ok=False, detail=f"{step.path} is no file that may be removed")
    if (seen.st_size, seen.st_mtime_ns) != (step.size_bytes, step.modified_ns):
        return StepResult(ok=True, detail=f"{step.path} was left alone: it has changed since it was seen")
    if inside is None:
        return _remove_at_once(directory, name, step)
    os.rename(name, kept, src_dir_fd=directory, dst_dir_fd=inside)
    moved = os.stat(kept, dir_fd=inside, follow_symlinks=False)
    if (moved.st_ino, moved.st_size, moved.st_mtime_ns) != (seen.st_ino, seen.st_size, seen.st_mtime_ns):
        _put(inside, kept, directory, name)
        return StepResult(
            ok=False, detail=f"{step.path} was exchanged while it was removed; what came in its place is back"
        )
    if step.keep:
        return StepResult(ok=True, detail=f"{step.path} is in the trash")
    os.unlink(kept, dir_fd=inside)
    return StepResult(ok=True, detail=f"{step.path} is removed")


def _remove_at_once(directory: int, name: str, step: RemoveFile) -> StepResult:
    if step.keep:
        return StepResult(ok=False, detail=f"{step.path} cannot be kept: the trash is on another file system")
    os.unlink(name, dir_fd=directory)
    return StepResult(ok=True, detail=f"{step.path} is removed")


def _put(inside: int, kept: str, directory: int, name: str) -> None:
    """Move a file from the trash to a place that must be free. Raises FileExistsError where it is taken."""
    try:
        os.link(kept, name, src_dir_fd=inside, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        if not _same_file(inside, kept, directory, name):
            raise
    except OSError:  # no hard links here, or not of this file
        if _exists(directory, name):
            raise FileExistsError(name) from None
        os.rename(kept, name, src_dir_fd=inside, dst_dir_fd=directory)
        return
    os.unlink(kept, dir_fd=inside)


def _same_file(inside: int, kept: str, directory: int, name: str) -> bool:
    one = os.stat(kept, dir_fd=inside, follow_symlinks=False)
    other = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _kept_files(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield when each file was moved here, its size and its path."""
    try:
        parts = [one for one in root.iterdir() if one.is_dir() and not one.is_symlink()]
    except OSError:
        return
    for part in parts:
        for path in part.iterdir():
            status = path.lstat()
            yield status.st_ctime, status.st_size, path
