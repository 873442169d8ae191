"""Who this endpoint is to its controller: a key made here, a certificate for it, and the authority to hold against.

`data_dir/identity/` has key.pem, certificate.pem, authority.pem and endpoint.binpb, which is written last: where it is,
the endpoint is enrolled. The key is made and used in a child process; here it is only passed on to TLS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from google.protobuf.message import DecodeError

from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent import isolation
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.files import replace_file
from homeostat_agent.identity_child import LENGTH

KEY = "key.pem"
CERTIFICATE = "certificate.pem"
AUTHORITY = "authority.pem"
ENDPOINT = "endpoint.binpb"
TRUSTED_KEYS = "trusted_keys.binpb"
FILE_BYTES_MAX = 64 << 10
CHILD_S_MAX = 20.0
_CHILD = "homeostat_agent.identity_child"


class IdentityError(Exception):
    """The identity cannot be used; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled endpoint. `labels` are those the controller gave, `link_address` is host:port."""

    endpoint_id: str
    labels: Mapping[str, str]
    link_address: str
    key_pem: bytes
    certificate_pem: bytes
    authority_pem: bytes


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate holds, and for which URI."""

    uri: str
    not_before: datetime
    not_after: datetime


def identity_folder(config: AgentConfig) -> Path:
    """Return where this endpoint's identity lies."""
    return Path(config.agent.data_dir, "identity")


def trusted_keys_file(config: AgentConfig) -> Path:
    """Return where the decider keeps the keys that content must be signed with, as a serialized TrustedKeys."""
    return Path(config.agent.data_dir, TRUSTED_KEYS)


def load_identity(config: AgentConfig) -> Identity | None:
    """Return this endpoint's identity, or None before it is enrolled. Raises IdentityError when it is damaged."""
    folder = identity_folder(config)
    if not (folder / ENDPOINT).exists():
        return None
    try:
        content = {name: _read(folder / name) for name in (KEY, CERTIFICATE, AUTHORITY, ENDPOINT)}
        endpoint = enrolment_pb2.EnrollResponse.FromString(content[ENDPOINT])
    except (OSError, DecodeError) as error:
        raise IdentityError(f"The identity in {folder} cannot be read: {error}.") from error
    if not endpoint.endpoint_id:
        raise IdentityError(f"The identity in {folder} names no endpoint.")
    return Identity(
        endpoint_id=endpoint.endpoint_id,
        labels=dict(endpoint.labels),
        link_address=config.controller.link or endpoint.link_address,
        key_pem=content[KEY],
        certificate_pem=content[CERTIFICATE],
        authority_pem=content[AUTHORITY],
    )


def endpoint_labels(config: AgentConfig, identity: Identity | None) -> dict[str, str]:
    """Return the labels by which policies select this endpoint: its own, under those the controller gave."""
    return {**config.labels, **(identity.labels if identity else {})}


def request_certificate(folder: Path, name: str) -> bytes:
    """Return a certificate request (DER) for the key in `folder`; it is made where there is none.

    Raises IdentityError.
    """
    return _ask("request", folder, name.encode())


def inspect_certificate(folder: Path, certificate_pem: bytes, authority_pem: bytes) -> Validity:
    """Check that a certificate is for the key in `folder` and comes from the authority. Raises IdentityError."""
    request = LENGTH.pack(len(certificate_pem)) + certificate_pem + authority_pem
    lines = _ask("inspect", folder, request).decode().split("\n")
    return Validity(lines[0], datetime.fromisoformat(lines[1]), datetime.fromisoformat(lines[2]))


def store_certificate(folder: Path, certificate_pem: bytes, authority_pem: bytes) -> None:
    """Put a certificate in place of the one before. The authority first: it may be a wider set than the old one."""
    replace_file(folder / AUTHORITY, authority_pem)
    replace_file(folder / CERTIFICATE, certificate_pem)


def _ask(what: str, folder: Path, request: bytes) -> bytes:
    try:
        answer = isolation.ask(_CHILD, (what, str(folder)), request, CHILD_S_MAX)
    except isolation.ChildError as error:
        raise IdentityError(f"The key in {folder} cannot be used: {error}.") from error
    if answer.refusal:
        raise IdentityError(answer.refusal)
    return answer.body


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX)
