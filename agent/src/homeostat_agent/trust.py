"""Who must have signed, and did they? The one place where signatures are checked; only a child process imports it.

Ed25519 and SHA-256, nothing to choose. What is signed is the kind's tag, a zero byte and the payload, so content of
one kind is never taken for another. Without enough valid signatures of distinct trusted keys there is no payload.
"""

import hashlib
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError

from homeostat.wire.v1 import policy_pb2
from homeostat_agent.verification import SIGNED_BYTES_MAX, TRUSTED_KEYS_BYTES_MAX, Refused, Verified

TAGS = {"policy": b"homeostat-policy-v1", "grant": b"homeostat-grant-v1"}
SIGNATURES_MAX = 16
KEYS_MAX = 64
KEY_BYTES = 32


def key_id(public_key: bytes) -> str:
    """Return the name of a raw public key."""
    return hashlib.sha256(public_key).hexdigest()


def verify(kind: str, signed: bytes, trusted_keys: bytes) -> Verified | Refused:
    """Check a serialized Signed of `kind` against a serialized TrustedKeys.

    Signatures by unknown keys and invalid ones count for nothing, a signer that signed twice counts once.
    """
    trusted = _read_keys(trusted_keys)
    if isinstance(trusted, Refused):
        return trusted
    keys, threshold = trusted
    message = _read_signed(kind, signed)
    if isinstance(message, Refused):
        return message
    signers = _signers(TAGS[kind] + b"\0" + message.payload, message.signatures, keys)
    if len(signers) < threshold:
        return Refused(f"The {kind} is signed by {len(signers)} of the trusted keys; {threshold} must sign.")
    return Verified(message.payload)


def _read_keys(trusted_keys: bytes) -> tuple[dict[str, bytes], int] | Refused:
    """Return the raw keys by their id, and how many of them must sign."""
    if len(trusted_keys) > TRUSTED_KEYS_BYTES_MAX:
        return Refused(f"The trusted keys have {len(trusted_keys)} bytes; the limit is {TRUSTED_KEYS_BYTES_MAX}.")
    message = policy_pb2.TrustedKeys()
    try:
        message.ParseFromString(trusted_keys)
    except DecodeError:
        return Refused("The trusted keys are not readable.")
    raw = message.ed25519_public_keys
    if len(raw) > KEYS_MAX:
        return Refused(f"There are {len(raw)} trusted keys; the limit is {KEYS_MAX}.")
    if any(len(one) != KEY_BYTES for one in raw):
        return Refused("A trusted key is not an Ed25519 key.")
    keys = {key_id(one): one for one in raw}
    if not 1 <= message.threshold <= len(keys):
        return Refused(f"The trusted keys cannot be used: {message.threshold} of {len(keys)} would have to sign.")
    return keys, message.threshold


def _read_signed(kind: str, signed: bytes) -> policy_pb2.Signed | Refused:
    if len(signed) > SIGNED_BYTES_MAX:
        return Refused(f"The signed {kind} has {len(signed)} bytes; the limit is {SIGNED_BYTES_MAX}.")
    message = policy_pb2.Signed()
    try:
        message.ParseFromString(signed)
    except DecodeError:
        return Refused(f"The signed {kind} is not readable.")
    if not message.signatures:
        return Refused(f"The {kind} is not signed.")
    if len(message.signatures) > SIGNATURES_MAX:
        return Refused(f"The {kind} has {len(message.signatures)} signatures; the limit is {SIGNATURES_MAX}.")
    return message


def _signers(content: bytes, signatures: Iterable[policy_pb2.Signature], keys: dict[str, bytes]) -> set[str]:
    return {one.key_id for one in signatures if one.key_id in keys and _holds(keys[one.key_id], one.value, content)}


def _holds(public_key: bytes, signature: bytes, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
