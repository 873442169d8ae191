"""What the actuator knows of this endpoint's enrolment: its id, its labels, and whose signatures count.

Enrolment puts two files into the actuator's own folder, out of the decider's reach: `endpoint.binpb` (EnrollResponse,
of which id and labels count) and `trusted_keys.binpb` (TrustedKeys). They are read at each use, so that enrolling anew
needs no restart. Where they are missing, nothing is accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError

from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent.config import AgentConfig

ENDPOINT = "endpoint.binpb"
TRUSTED_KEYS = "trusted_keys.binpb"
FILE_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Enrolment:
    """This endpoint's id ("" before enrolment), the labels policies select it by, and a serialized TrustedKeys."""

    endpoint_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    trusted_keys: bytes = b""


def load(config: AgentConfig) -> Enrolment:
    """Read the enrolment; its own labels stand under those that the controller gave."""
    folder = Path(config.actuator.data_dir)
    endpoint = enrolment_pb2.EnrollResponse()
    try:
        endpoint.ParseFromString(_read(folder / ENDPOINT))
    except DecodeError:
        endpoint.Clear()
    return Enrolment(endpoint.endpoint_id, {**config.labels, **endpoint.labels}, _read(folder / TRUSTED_KEYS))


def _read(path: Path) -> bytes:
    """Return a file's content, or nothing where it cannot be read; what is too long is cut, and then unreadable."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except OSError:
        return b""
