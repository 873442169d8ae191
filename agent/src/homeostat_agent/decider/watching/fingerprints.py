"""Whether a file or the contents of a folder are still what they were.

Invariant: a file that was only touched, or written again with the same content, has the same fingerprint, as far as it
can be read and is not large.
"""

import hashlib
import os
from pathlib import Path

CONTENT_BYTES_MAX = 1 << 20
LISTED_MAX = 1000

Listing = dict[str, tuple[int, int, int]]


def of_file(path: str) -> bytes | None:
    """Return a file's fingerprint, or None if there is no such file.

    Of a file that is large or may not be read, length, time and number on the disk count instead of the content.
    Raises OSError where not even that can be told.
    """
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if found.st_size <= CONTENT_BYTES_MAX:
        try:
            return hashlib.sha256(Path(path).read_bytes()).digest()
        except FileNotFoundError:
            return None
        except OSError:
            pass
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}".encode()


def of_folder(path: str) -> Listing:
    """Return what lies directly in a folder, at most LISTED_MAX files; empty if it is not there."""
    listing: Listing = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if len(listing) >= LISTED_MAX:
                    break
                if entry.is_file():
                    found = entry.stat()
                    listing[entry.name] = (found.st_ino, found.st_size, found.st_mtime_ns)
    except OSError:
        pass
    return listing
