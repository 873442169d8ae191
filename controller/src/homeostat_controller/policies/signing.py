"""Signs what agents will obey, with a lab key that lies on the controller itself, and says so.

A lab key makes one machine enough to try everything; it also means that whoever owns the controller can have done
whatever the endpoints' own configurations declare. Keys of people, kept elsewhere, take its place later.
Invariant: content of one kind is never a valid signature for another, because the kind's tag is signed with it.
"""

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from homeostat.wire.v1 import policy_pb2
from homeostat_controller import key_files

POLICY_TAG = b"homeostat-policy-v1"
GRANT_TAG = b"homeostat-grant-v1"
KEY_FILE = "lab-signing.key"


class Signer:
    """The lab key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._key = private_key
        self._public = private_key.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(self._public).hexdigest()

    def sign(self, tag: bytes, payload: bytes) -> policy_pb2.Signed:
        """Return `payload` with a signature over the tag, a zero byte and the payload."""
        signature = policy_pb2.Signature(key_id=self.key_id, value=self._key.sign(tag + b"\0" + payload))
        return policy_pb2.Signed(payload=payload, signatures=[signature])

    def holds(self, tag: bytes, signed: policy_pb2.Signed) -> bool:
        """Say whether this key signed it, for this kind."""
        return any(one.key_id == self.key_id and self._fits(tag, signed, one.value) for one in signed.signatures)

    def trusted_keys(self) -> policy_pb2.TrustedKeys:
        """Return what an agent is told to trust: one of one, marked as a lab's."""
        return policy_pb2.TrustedKeys(ed25519_public_keys=[self._public], threshold=1, lab=True)

    def _fits(self, tag: bytes, signed: policy_pb2.Signed, signature: bytes) -> bool:
        try:
            self._key.public_key().verify(signature, tag + b"\0" + signed.payload)
        except InvalidSignature:
            return False
        return True


def load_or_create(data_dir: Path) -> Signer:
    """Return the lab key of this data folder, made at the first call.

    Raises KeyFileError.
    """
    raw = key_files.load_or_create(data_dir / KEY_FILE, lambda: Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        return Signer(Ed25519PrivateKey.from_private_bytes(raw))
    except ValueError:
        raise key_files.KeyFileError(f"{data_dir / KEY_FILE}: it holds no Ed25519 key") from None
