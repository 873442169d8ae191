"""Private keys as files: made once, readable by their owner only, never logged.

Invariant: a key file that others can read is refused rather than used.
"""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from homeostat_controller.errors import ControllerError


class KeyFileError(ControllerError):
    """A key cannot be read or written safely; the message names the file, never its content."""


def load_or_create(path: Path, create: Callable[[], bytes]) -> bytes:
    """Return the file's content, which `create` makes where there is none.

    Raises KeyFileError when others may read it or it cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            return _read(path)
        _write(path, create())
        return _read(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error


def _read(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise KeyFileError(f"{path}: others may read it (mode {mode:03o}); chmod 600 it, or make a new key if they did")
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    # Whole or not at all, and the first of two programs that start together wins.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            return
    finally:
        partial.unlink(missing_ok=True)
