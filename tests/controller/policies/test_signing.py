"""Signatures: made once per kind, held by the same key, and never good for another kind or payload."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from homeostat.wire.v1 import policy_pb2
from homeostat_controller.key_files import KeyFileError
from homeostat_controller.policies.signing import GRANT_TAG, KEY_FILE, POLICY_TAG, load_or_create


def test_what_is_signed_is_the_tag_a_zero_byte_and_the_payload(tmp_path: Path) -> None:
    signer = load_or_create(tmp_path)
    signed = signer.sign(POLICY_TAG, b"payload")
    (public,) = signer.trusted_keys().ed25519_public_keys
    key = Ed25519PublicKey.from_public_bytes(public)
    key.verify(signed.signatures[0].value, b"homeostat-policy-v1\0payload")
    assert signed.signatures[0].key_id == hashlib.sha256(public).hexdigest() == signer.key_id


def test_the_key_set_says_that_it_is_a_lab_s(tmp_path: Path) -> None:
    trusted = load_or_create(tmp_path).trusted_keys()
    assert (trusted.threshold, len(trusted.ed25519_public_keys), trusted.lab) == (1, 1, True)


def test_the_same_folder_gives_the_same_key(tmp_path: Path) -> None:
    assert load_or_create(tmp_path).key_id == load_or_create(tmp_path).key_id
    assert load_or_create(tmp_path).key_id != load_or_create(tmp_path / "other").key_id


def test_a_signature_is_for_its_kind_payload_and_key_only(tmp_path: Path) -> None:
    signer, stranger = load_or_create(tmp_path), load_or_create(tmp_path / "other")
    signed = signer.sign(POLICY_TAG, b"payload")
    assert signer.holds(POLICY_TAG, signed)
    assert not signer.holds(GRANT_TAG, signed)
    assert not stranger.holds(POLICY_TAG, signed)
    for broken in (
        policy_pb2.Signed(payload=b"other", signatures=signed.signatures),
        policy_pb2.Signed(payload=b"payload"),
        policy_pb2.Signed(payload=b"payload", signatures=[policy_pb2.Signature(key_id=signer.key_id, value=b"x")]),
    ):
        assert not signer.holds(POLICY_TAG, broken)


def test_a_damaged_key_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="no Ed25519 key"):
        load_or_create(tmp_path)
