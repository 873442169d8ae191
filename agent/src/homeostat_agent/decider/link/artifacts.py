"""Content by its hash, fetched in pieces and gone on with where a torn fetch ended.

Only content whose SHA-256 is the one asked for ever appears under its name; its length is bounded before it is written.
"""

import os
from hashlib import file_digest
from pathlib import Path

import grpc

from homeostat.wire.v1 import link_pb2, link_pb2_grpc
from homeostat_agent.decider.link.channel import explain
from homeostat_agent.decider.link.files import sync_folder

ARTIFACT_BYTES_MAX = 256 << 20
FETCH_TIMEOUT_S = 300.0


class ArtifactError(Exception):
    """The content could not be had; the message is a sentence. What came so far is kept and gone on with."""


def fetch_artifact(channel: grpc.Channel, sha256: bytes, folder: Path, bytes_max: int = ARTIFACT_BYTES_MAX) -> Path:
    """Return the path of the content with this hash in `folder`, fetching what is not there yet.

    Raises ArtifactError; a repeat goes on where this one ended, unless what came was wrong.
    """
    final = folder / sha256.hex()
    if final.exists():
        return final
    part = folder / f".{sha256.hex()}.part"
    try:
        _fetch(channel, sha256, part, bytes_max)
        _check(part, sha256)
        part.replace(final)
        sync_folder(folder)
    except OSError as error:
        raise ArtifactError(f"{final} cannot be written: {error.strerror}.") from error
    return final


def _fetch(channel: grpc.Channel, sha256: bytes, part: Path, bytes_max: int) -> None:
    with part.open("ab") as file:
        request = link_pb2.FetchArtifactRequest(sha256=sha256, offset=file.tell())
        call = link_pb2_grpc.LinkServiceStub(channel).FetchArtifact(request, timeout=FETCH_TIMEOUT_S)
        try:
            for piece in call:
                if max(piece.total_bytes, file.tell() + len(piece.chunk)) > bytes_max:
                    raise _discard(part, f"The content is above {bytes_max} bytes.")
                file.write(piece.chunk)
        except grpc.RpcError as error:
            raise ArtifactError(f"{explain(error, 'the link')}.") from error
        finally:
            call.cancel()
            file.flush()
            os.fsync(file.fileno())


def _check(part: Path, sha256: bytes) -> None:
    with part.open("rb") as file:
        found = file_digest(file, "sha256").digest()
    if found != sha256:
        raise _discard(part, "The content is not what was asked for.")


def _discard(part: Path, why: str) -> ArtifactError:
    part.unlink(missing_ok=True)
    return ArtifactError(why)
