"""From a join token to an identity: the one time that this endpoint has nothing but what an administrator carried.

The token pins the controller's authority, so the first contact is verified already. Key and nonce are kept on disk
before anything is sent: a try that breaks anywhere is repeated with the same ones and burns no token.
"""

import base64
import binascii
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, policy_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import connect, explain
from homeostat_agent.decider.link.files import make_folder, replace_file, sync_folder
from homeostat_agent.decider.link.identity import (
    AUTHORITY,
    CERTIFICATE,
    ENDPOINT,
    TRUSTED_KEYS,
    IdentityError,
    Validity,
    identity_folder,
    inspect_certificate,
    load_identity,
    request_certificate,
    trusted_keys_file,
)

TOKEN_PREFIX = "hst1:"  # noqa: S105  # how a token begins is no secret
TOKEN_CHARACTERS_MAX = 16_384
NONCE = "nonce"
NONCE_BYTES = 32
# The digest of the token that the key in a folder was last tried with.
TRIED = "tried"
ENROL_TIMEOUT_S = 30.0
KEY_BYTES = 32


class EnrolmentError(Exception):
    """This endpoint could not be enrolled; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What enrolment has brought. `lab`: content is signed by a key that lies on the controller itself."""

    endpoint_id: str
    labels: dict[str, str]
    link_address: str
    certificate: Validity
    lab: bool


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks: the endpoint's name as people will see it, and what it is."""

    name: str
    facts: enrolment_pb2.EndpointFacts


def parse_token(text: str, now: datetime) -> enrolment_pb2.JoinToken:
    """Read a join token as an administrator pasted it. Raises EnrolmentError."""
    text = text.strip()
    if not text.startswith(TOKEN_PREFIX) or len(text) > TOKEN_CHARACTERS_MAX:
        raise EnrolmentError(f"This is no join token: one begins with {TOKEN_PREFIX}")
    body = text.removeprefix(TOKEN_PREFIX).encode("ascii", "replace")
    try:
        token = enrolment_pb2.JoinToken.FromString(
            base64.b64decode(body + b"=" * (-len(body) % 4), b"-_", validate=True)
        )
    except (binascii.Error, DecodeError):
        raise EnrolmentError("The join token is damaged; copy it whole, or ask for a new one.") from None
    if not (token.secret and token.authority_der and token.enrol_address):
        raise EnrolmentError("The join token is incomplete; copy it whole, or ask for a new one.")
    expires_at = token.expires_at.ToDatetime(UTC)
    if expires_at <= now:
        raise EnrolmentError(f"The join token expired at {expires_at:%Y-%m-%d %H:%M} UTC; ask for a new one.")
    return token


def enrol(
    config: AgentConfig, token_text: str, applicant: Applicant, now: datetime, *, again: bool = False
) -> Enrolled:
    """Enrol this endpoint and store what it needs from then on; blocks for up to ENROL_TIMEOUT_S and some seconds.

    A repeat after a failure goes on with the same key. `again` replaces an identity that is there, and begins with a
    new key unless it repeats a try with the same token. Raises EnrolmentError.
    """
    token = parse_token(token_text, now)
    _refuse_if_enrolled(config, again=again)
    folder = identity_folder(config).with_name("identity.new")
    try:
        make_folder(Path(config.agent.data_dir))
        _prepare(folder, token_text.strip(), again=again)
        request = enrolment_pb2.EnrollRequest(
            token=token_text.strip(),
            csr_der=request_certificate(folder, applicant.name),
            nonce=_nonce(folder),
            name=applicant.name,
            labels=config.labels,
            facts=applicant.facts,
        )
        answer = _call(config.controller.enrol or token.enrol_address, token.authority_der, request)
        return _take_up(config, folder, answer)
    except IdentityError as error:
        raise EnrolmentError(str(error)) from error
    except OSError as error:
        raise EnrolmentError(f"{error.filename} cannot be written: {error.strerror}.") from error


def _refuse_if_enrolled(config: AgentConfig, *, again: bool) -> None:
    try:
        identity = load_identity(config)
    except IdentityError:
        return  # damaged: enrolling is the way to mend it
    if identity is not None and not again:
        raise EnrolmentError(f"This endpoint is enrolled already, as {identity.endpoint_id}.")


def _prepare(folder: Path, token_text: str, *, again: bool) -> None:
    digest = sha256(token_text.encode()).digest()
    tried = folder / TRIED
    if again and folder.is_dir() and not (tried.exists() and tried.read_bytes() == digest):
        _remove(folder)
    make_folder(folder)
    replace_file(tried, digest)


def _nonce(folder: Path) -> bytes:
    path = folder / NONCE
    if not path.exists():
        replace_file(path, os.urandom(NONCE_BYTES))
    return path.read_bytes()[:NONCE_BYTES]


def _call(address: str, authority_der: bytes, request: enrolment_pb2.EnrollRequest) -> enrolment_pb2.EnrollResponse:
    text = base64.encodebytes(authority_der).decode()
    channel = connect(address, f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode())
    try:
        return enrolment_pb2_grpc.EnrolmentServiceStub(channel).Enroll(request, timeout=ENROL_TIMEOUT_S)
    except grpc.RpcError as error:
        raise EnrolmentError(f"{explain(error, address)}.") from error
    finally:
        channel.close()


def _take_up(config: AgentConfig, folder: Path, answer: enrolment_pb2.EnrollResponse) -> Enrolled:
    certificate_pem, authority_pem = answer.identity.certificate_pem.encode(), answer.identity.authority_pem.encode()
    validity = inspect_certificate(folder, certificate_pem, authority_pem)
    _check_trusted_keys(answer.trusted_keys)
    link_address = config.controller.link or answer.link_address
    if not link_address:
        raise EnrolmentError("The controller's answer has no address for the link; set controller.link.")
    if not answer.endpoint_id or validity.uri.rpartition("/")[2] != answer.endpoint_id:
        raise EnrolmentError("The controller's answer and its certificate do not name the same endpoint.")
    keys, kept = answer.trusted_keys.SerializeToString(), _to_keep(answer)
    replace_file(folder / CERTIFICATE, certificate_pem)
    replace_file(folder / AUTHORITY, authority_pem)
    replace_file(folder / ENDPOINT, kept)
    # The actuator has its own copies, out of the decider's reach.
    actuator_folder = Path(config.actuator.data_dir)
    make_folder(actuator_folder)
    replace_file(actuator_folder / ENDPOINT, kept)
    replace_file(actuator_folder / TRUSTED_KEYS, keys)
    replace_file(trusted_keys_file(config), keys)
    # Last: from here on the endpoint is enrolled.
    _swap(folder, identity_folder(config))
    return Enrolled(answer.endpoint_id, dict(answer.labels), link_address, validity, answer.trusted_keys.lab)


def _check_trusted_keys(keys: policy_pb2.TrustedKeys) -> None:
    distinct = set(keys.ed25519_public_keys)
    if not 1 <= keys.threshold <= len(distinct) or any(len(one) != KEY_BYTES for one in distinct):
        raise EnrolmentError("The controller's answer has no usable set of keys to trust content by.")


def _to_keep(answer: enrolment_pb2.EnrollResponse) -> bytes:
    kept = enrolment_pb2.EnrollResponse(
        endpoint_id=answer.endpoint_id, labels=answer.labels, link_address=answer.link_address
    )
    return kept.SerializeToString()


def _swap(fresh: Path, final: Path) -> None:
    for name in (NONCE, TRIED):
        (fresh / name).unlink(missing_ok=True)
    if final.exists():
        before = final.with_name("identity.before")
        if before.is_dir():
            _remove(before)
        final.rename(before)
    fresh.rename(final)
    sync_folder(final.parent)


def _remove(folder: Path) -> None:
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()
