"""The text that an administrator carries to an endpoint: the secret, whom to trust, where to go, until when."""

import base64
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import DecodeError

from homeostat.wire.v1 import enrolment_pb2
from homeostat_controller.errors import Invalid

PREFIX = "hst1:"
SECRET_BYTES = 32
TEXT_CHARACTERS_MAX = 8192


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom an endpoint meets first: the authority's root (DER) and host:port of the enrolment listener."""

    authority_der: bytes
    enrol_address: str


def write(secret: bytes, contact: Contact, expires_at: datetime) -> str:
    """Return the token as text."""
    token = enrolment_pb2.JoinToken(
        secret=secret, authority_der=contact.authority_der, enrol_address=contact.enrol_address
    )
    token.expires_at.FromDatetime(expires_at)
    return PREFIX + _text(token.SerializeToString())


def secret_of(said: str) -> bytes:
    """Return the secret in what an endpoint presents: the whole token, or its secret alone as base64url.

    Raises Invalid.
    """
    try:
        if len(said) > TEXT_CHARACTERS_MAX:
            raise Invalid("this is no enrolment token")
        if said.startswith(PREFIX):
            return enrolment_pb2.JoinToken.FromString(_bytes(said.removeprefix(PREFIX))).secret
        return _bytes(said)
    except (ValueError, DecodeError):
        raise Invalid("this is no enrolment token") from None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(said: str) -> bytes:
    return base64.b64decode(said.encode() + b"=" * (-len(said) % 4), altchars=b"-_", validate=True)
