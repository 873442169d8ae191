"""Content keys and signed content for tests: a signer as a policy author or an approver would be one."""

from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from homeostat.wire.v1 import policy_pb2

POLICY_TAG = b"homeostat-policy-v1"
GRANT_TAG = b"homeostat-grant-v1"


class Signer:
    """One person's key."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes_raw()
        self.key_id = sha256(self.public).hexdigest()

    def sign(self, tag: bytes, payload: bytes) -> policy_pb2.Signature:
        return policy_pb2.Signature(key_id=self.key_id, value=self.key.sign(tag + b"\0" + payload))


def trusted(signers: Sequence[Signer], threshold: int = 1, *, lab: bool = True) -> policy_pb2.TrustedKeys:
    return policy_pb2.TrustedKeys(ed25519_public_keys=[one.public for one in signers], threshold=threshold, lab=lab)


def signed(tag: bytes, payload: bytes, *signers: Signer) -> policy_pb2.Signed:
    return policy_pb2.Signed(payload=payload, signatures=[one.sign(tag, payload) for one in signers])
