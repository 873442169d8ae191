"""Content by its hash: models and other files that agents fetch, from any offset.

Invariant: what is asked for is a hash, never a path, and a file whose content does not match its name is not sent whole
to anybody who checks: agents compare the hash when they have it all.
"""

from collections.abc import Iterator
from pathlib import Path

from homeostat_controller.errors import Invalid, NotFound

CHUNK_BYTES = 256 << 10
SHA256_BYTES = 32


class Artifacts:
    """The folder of artifacts; each file is named by the hex of its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, sha256: bytes) -> int:
        """Return an artifact's size in bytes.

        Raises Invalid for what is no hash, and NotFound.
        """
        try:
            return self._path(sha256).stat().st_size
        except OSError:
            raise NotFound("there is no artifact with this hash") from None

    def chunk(self, sha256: bytes, offset: int) -> bytes:
        """Return up to CHUNK_BYTES from an offset, b"" at the end.

        Raises as `size` does.
        """
        try:
            with self._path(sha256).open("rb") as file:
                file.seek(offset)
                return file.read(CHUNK_BYTES)
        except OSError:
            raise NotFound("there is no artifact with this hash") from None

    def list(self) -> Iterator[str]:
        """Return the hashes of all artifacts, hex."""
        names = (path.name for path in self._folder.iterdir() if path.is_file())
        return iter(sorted(name for name in names if len(name) == 2 * SHA256_BYTES))

    def _path(self, sha256: bytes) -> Path:
        if len(sha256) != SHA256_BYTES:
            raise Invalid(f"an artifact is named by its SHA-256, {SHA256_BYTES} bytes")
        return self._folder / sha256.hex()
