"""Declared folders without directory descriptors, which Windows does not have: by path, links never followed.

As on Linux, a file is moved first and looked at again where nobody else can write; what is not the planned file goes
back. A file that is in use cannot be moved on Windows, and is left alone.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from homeostat.plan import RemoveFile, RestoreFile
from homeostat_agent.actuator.host.port import FileFacts, FolderFacts, FolderQuery, Missing, StepResult
from homeostat_agent.config import Folder

ENTRIES_MAX = 500_000
LISTED_MAX = 4000
KEPT_S_MAX = 24 * 3600.0
_REPARSE_POINT = 0x400  # junctions, mount points and symbolic links


class TooManyError(Exception):
    """The folder has more entries than are looked at."""


class Files:
    """Files of declared folders, and the trash below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, folder: Folder, query: FolderQuery, now_s: float) -> FolderFacts | Missing:
        """Return a folder's facts at `now_s` seconds since 1970."""
        top = Path(folder.path)
        try:
            found = list(_walk(top))
            usage = shutil.disk_usage(top)
        except OSError as error:
            return Missing(f"{top}: {error.strerror}.")
        except TooManyError:
            return Missing(f"{top} holds more than {ENTRIES_MAX} entries.")
        own = folder.limit_mib > 0
        used = sum(status.st_size for _path, status in found) if own else usage.used
        limit = int(folder.limit_mib * (1 << 20)) if own else usage.used + usage.free
        files = _listed(top, folder, found, now_s - query.minimum_age_s) if query.minimum_age_s is not None else []
        listed = tuple(files[:LISTED_MAX])
        return FolderFacts(folder.name, used, limit, own, own and self._serves(top), listed, len(listed) == len(files))

    def remove(self, folder: Folder, step: RemoveFile) -> StepResult:
        """Take a file out if it is still what was seen; one that has changed, gone or is in use is left alone."""
        path = _inside(folder, step.path)
        if path is None:
            return StepResult(ok=False, detail=f"{step.path!r} is no path below a folder")
        if not self._serves(Path(folder.path)):
            return StepResult(ok=False, detail=f"{step.path} was left alone: the trash is on another drive")
        kept = self._kept(folder, step.path)
        try:
            status = path.lstat()
            if not _may_go(path, status, folder):
                return StepResult(ok=False, detail=f"{step.path} is no file that may be removed")
            if (status.st_size, status.st_mtime_ns) != (step.size_bytes, step.modified_ns):
                return StepResult(ok=True, detail=f"{step.path} was left alone: it has changed since it was seen")
            kept.parent.mkdir(parents=True, exist_ok=True)
            path.replace(kept)
            return _settle(path, kept, step)
        except OSError as error:
            said = "gone already" if isinstance(error, FileNotFoundError) else f"left alone: {error.strerror}"
            return StepResult(ok=True, detail=f"{step.path} was {said}")

    def restore(self, folder: Folder, step: RestoreFile) -> StepResult:
        """Bring a file back, unless its place has been taken."""
        path, kept = _inside(folder, step.path), self._kept(folder, step.path)
        if path is None:
            return StepResult(ok=False, detail=f"{step.path!r} is no path below a folder")
        if not kept.exists():
            return StepResult(ok=True, detail=f"{step.path} was not in the trash")
        if path.exists():
            return StepResult(ok=False, detail=f"{step.path}: its place has been taken; it stays in the trash")
        try:
            kept.rename(path)
        except OSError as error:
            return StepResult(ok=False, detail=f"{step.path}: {error.strerror}; it stays in the trash")
        return StepResult(ok=True, detail=f"{step.path} is back")

    def purge(self, now_s: float) -> None:
        """Remove for good what was moved here more than KEPT_S_MAX ago."""
        for kept in self._root.glob("*/*"):
            with suppress(OSError):
                if now_s - kept.lstat().st_ctime > KEPT_S_MAX:
                    kept.unlink()

    def _serves(self, top: Path) -> bool:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            return self._root.stat().st_dev == top.stat().st_dev
        except OSError:
            return False

    def _kept(self, folder: Folder, path: str) -> Path:
        return self._root / folder.name / f"{sha256(path.encode()).hexdigest()[:32]}-{path.rpartition('/')[2][:100]}"


def _walk(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    waiting, left = [top], ENTRIES_MAX
    while waiting:
        for path in waiting.pop().iterdir():
            left -= 1
            if left < 0:
                raise TooManyError
            with suppress(OSError):
                status = path.lstat()
                if getattr(status, "st_file_attributes", 0) & _REPARSE_POINT:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield path, status
                elif stat.S_ISDIR(status.st_mode):
                    waiting.append(path)


def _listed(top: Path, folder: Folder, found: list[tuple[Path, os.stat_result]], before_s: float) -> list[FileFacts]:
    files = [
        FileFacts(path.relative_to(top).as_posix(), status.st_size, status.st_size, status.st_mtime_ns)
        for path, status in found
        if status.st_mtime <= before_s and str(path).isprintable() and _may_go(path, status, folder)
    ]
    return sorted(files, key=lambda one: (one.modified_ns, one.path))


def _may_go(path: Path, status: os.stat_result, folder: Folder) -> bool:
    matches = any(fnmatch(path.name, pattern) for pattern in folder.patterns)
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and matches


def _inside(folder: Folder, path: str) -> Path | None:
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\\" in part or ":" in part or "\0" in part for part in parts):
        return None
    found = Path(folder.path, *parts)
    links = any(getattr(each.lstat(), "st_file_attributes", 0) & _REPARSE_POINT for each in _above(found, len(parts)))
    return None if links else found


def _above(path: Path, count: int) -> list[Path]:
    return [each for each in path.parents[: count - 1] if each.exists()]


def _settle(path: Path, kept: Path, step: RemoveFile) -> StepResult:
    status = kept.lstat()
    if (status.st_size, status.st_mtime_ns) != (step.size_bytes, step.modified_ns):
        kept.rename(path)
        return StepResult(ok=False, detail=f"{step.path} was exchanged while it was removed; it is back")
    if step.keep:
        return StepResult(ok=True, detail=f"{step.path} is in the trash")
    kept.unlink()
    return StepResult(ok=True, detail=f"{step.path} is removed")
