"""Artifacts: by hash only, from any offset."""

import hashlib
from pathlib import Path

import pytest

from homeostat_controller.agents.artifacts import CHUNK_BYTES, Artifacts
from homeostat_controller.errors import Invalid, NotFound

CONTENT = b"m" * (CHUNK_BYTES + 10)
DIGEST = hashlib.sha256(CONTENT).digest()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    (tmp_path / DIGEST.hex()).write_bytes(CONTENT)
    (tmp_path / "notes.txt").write_text("not an artifact")
    return Artifacts(tmp_path)


def test_chunks_from_offsets(artifacts: Artifacts) -> None:
    assert artifacts.size(DIGEST) == len(CONTENT)
    assert artifacts.chunk(DIGEST, 0) + artifacts.chunk(DIGEST, CHUNK_BYTES) == CONTENT
    assert artifacts.chunk(DIGEST, len(CONTENT)) == b""
    assert artifacts.chunk(DIGEST, len(CONTENT) + 1) == b""
    assert list(artifacts.list()) == [DIGEST.hex()]


@pytest.mark.parametrize("name", [b"", b"x" * 31, b"../../../../etc/passwd\0\0\0\0\0\0\0\0\0\0\0", b"x" * 33])
def test_what_is_no_hash_is_refused(artifacts: Artifacts, name: bytes) -> None:
    with pytest.raises((Invalid, NotFound)):
        artifacts.size(name)


def test_an_unknown_hash_is_not_found(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        artifacts.size(bytes(32))
    (tmp_path / DIGEST.hex()).unlink()
    with pytest.raises(NotFound):
        artifacts.chunk(DIGEST, 0)
