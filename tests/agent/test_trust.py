from collections.abc import Callable

import pytest
from fixtures_signing import GRANT_TAG, POLICY_TAG, Signer, signed, trusted
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.wire.v1 import policy_pb2
from homeostat_agent.trust import KEYS_MAX, SIGNATURES_MAX, key_id, verify
from homeostat_agent.verification import SIGNED_BYTES_MAX, TRUSTED_KEYS_BYTES_MAX, Refused, Verified

ANNA, BERT, CARA, MALLORY = Signer(), Signer(), Signer(), Signer()
TWO_OF_THREE = trusted([ANNA, BERT, CARA], 2).SerializeToString()
ONE_OF_ONE = trusted([ANNA]).SerializeToString()


def check(kind: str, message: policy_pb2.Signed, keys: bytes = TWO_OF_THREE) -> Verified | Refused:
    return verify(kind, message.SerializeToString(), keys)


def reason(verdict: Verified | Refused) -> str:
    assert isinstance(verdict, Refused)
    return verdict.reason


def test_enough_distinct_trusted_signers_are_believed() -> None:
    assert check("policy", signed(POLICY_TAG, b"content", ANNA, CARA)) == Verified(b"content")
    assert check("policy", signed(POLICY_TAG, b"content", ANNA, BERT, CARA)) == Verified(b"content")
    assert check("grant", signed(GRANT_TAG, b"content", BERT, CARA)) == Verified(b"content")
    assert check("policy", signed(POLICY_TAG, b"", ANNA), ONE_OF_ONE) == Verified(b"")


def test_signatures_by_strangers_neither_help_nor_harm() -> None:
    assert check("policy", signed(POLICY_TAG, b"content", MALLORY, ANNA, BERT)) == Verified(b"content")
    assert "signed by 1 of the trusted keys; 2 must" in reason(check("policy", signed(POLICY_TAG, b"c", MALLORY, ANNA)))


def test_a_signer_who_signs_twice_counts_once() -> None:
    assert "signed by 1" in reason(check("policy", signed(POLICY_TAG, b"content", ANNA, ANNA)))


def test_an_invalid_signature_beside_a_valid_one_of_the_same_key_counts_for_nothing() -> None:
    message = signed(POLICY_TAG, b"content", ANNA, BERT)
    message.signatures.insert(0, policy_pb2.Signature(key_id=ANNA.key_id, value=bytes(64)))
    assert check("policy", message) == Verified(b"content")


def as_other_kind(message: policy_pb2.Signed) -> None:
    message.CopyFrom(signed(GRANT_TAG, b"content", ANNA, BERT))


def with_content_changed(message: policy_pb2.Signed) -> None:
    message.payload = b"contents"


def without_signatures(message: policy_pb2.Signed) -> None:
    message.ClearField("signatures")


def with_signatures_swapped(message: policy_pb2.Signed) -> None:
    one, two = message.signatures
    one.value, two.value = two.value, one.value


def with_key_names_swapped_to_a_stranger(message: policy_pb2.Signed) -> None:
    forged = signed(POLICY_TAG, b"content", MALLORY, Signer())
    for mine, theirs in zip(message.signatures, forged.signatures, strict=True):
        mine.value = theirs.value


def with_short_signatures(message: policy_pb2.Signed) -> None:
    for one in message.signatures:
        one.value = one.value[:63]


def with_no_tag(message: policy_pb2.Signed) -> None:
    for one, signer in zip(message.signatures, (ANNA, BERT), strict=True):
        one.value = signer.key.sign(b"content")


def with_the_tag_run_into_the_content(message: policy_pb2.Signed) -> None:
    for one, signer in zip(message.signatures, (ANNA, BERT), strict=True):
        one.value = signer.key.sign(POLICY_TAG + b"content")


def with_upper_case_key_names(message: policy_pb2.Signed) -> None:
    for one in message.signatures:
        one.key_id = one.key_id.upper()


@pytest.mark.parametrize(
    "spoil",
    [
        as_other_kind,
        with_content_changed,
        without_signatures,
        with_signatures_swapped,
        with_key_names_swapped_to_a_stranger,
        with_short_signatures,
        with_no_tag,
        with_the_tag_run_into_the_content,
        with_upper_case_key_names,
    ],
)
def test_what_is_not_vouched_for_is_refused(spoil: Callable[[policy_pb2.Signed], None]) -> None:
    message = signed(POLICY_TAG, b"content", ANNA, BERT)
    spoil(message)
    assert reason(check("policy", message)).startswith("The policy is ")


def test_unsigned_content_is_refused_by_name() -> None:
    assert reason(verify("policy", b"", ONE_OF_ONE)) == "The policy is not signed."
    assert reason(check("grant", policy_pb2.Signed(payload=b"content"))) == "The grant is not signed."


def test_what_is_no_signed_message_is_refused() -> None:
    assert reason(verify("policy", b"\xff" * 40, ONE_OF_ONE)) == "The signed policy is not readable."


def test_size_and_number_are_bounded() -> None:
    room = SIGNED_BYTES_MAX - len(signed(POLICY_TAG, bytes(SIGNED_BYTES_MAX), ANNA).SerializeToString())
    largest = signed(POLICY_TAG, bytes(SIGNED_BYTES_MAX + room), ANNA)
    assert len(largest.SerializeToString()) == SIGNED_BYTES_MAX
    assert isinstance(check("policy", largest, ONE_OF_ONE), Verified)
    too_large = signed(POLICY_TAG, bytes(SIGNED_BYTES_MAX + room + 1), ANNA)
    assert "the limit is 262144" in reason(check("policy", too_large, ONE_OF_ONE))

    many = signed(POLICY_TAG, b"c", *[MALLORY] * (SIGNATURES_MAX - 1), ANNA)
    assert isinstance(check("policy", many, ONE_OF_ONE), Verified)
    many.signatures.add()
    assert "17 signatures" in reason(check("policy", many, ONE_OF_ONE))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (b"", "0 of 0"),
        (b"\xff" * 20, "not readable"),
        (trusted([ANNA], 0).SerializeToString(), "0 of 1"),
        (trusted([ANNA], 2).SerializeToString(), "2 of 1"),
        (trusted([ANNA, ANNA], 2).SerializeToString(), "2 of 1"),
        (policy_pb2.TrustedKeys(ed25519_public_keys=[b"short"], threshold=1).SerializeToString(), "Ed25519"),
        (trusted([ANNA] * (KEYS_MAX + 1)).SerializeToString(), "65 trusted keys"),
        (bytes(TRUSTED_KEYS_BYTES_MAX + 1), "the limit is 65536"),
    ],
    # The keys are drawn anew in each process, and so would be the names.
    ids=["none", "not readable", "threshold 0", "too few", "one twice", "short", "too many", "too large"],
)
def test_trusted_keys_that_cannot_be_used_trust_nobody(keys: bytes, why: str) -> None:
    assert why in reason(verify("policy", signed(POLICY_TAG, b"content", ANNA).SerializeToString(), keys))


def test_a_key_that_is_no_point_verifies_nothing() -> None:
    odd = b"\xff" * 32
    keys = policy_pb2.TrustedKeys(ed25519_public_keys=[odd], threshold=1).SerializeToString()
    message = policy_pb2.Signed(payload=b"c", signatures=[policy_pb2.Signature(key_id=key_id(odd), value=bytes(64))])
    assert "signed by 0" in reason(check("policy", message, keys))


GENUINE = signed(POLICY_TAG, b"the content that two of three have signed", ANNA, BERT).SerializeToString()


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(GENUINE) - 1), bit=st.integers(0, 7))
def test_no_changed_bit_gets_other_content_accepted(place: int, bit: int) -> None:
    changed = bytearray(GENUINE)
    changed[place] ^= 1 << bit
    verdict = verify("policy", bytes(changed), TWO_OF_THREE)
    assert isinstance(verdict, Refused) or verdict.payload == b"the content that two of three have signed"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=100))
def test_anything_else_is_refused_without_an_error(message: bytes, keys: bytes) -> None:
    assert isinstance(verify("policy", message, keys), Refused)
    assert isinstance(verify("grant", message, TWO_OF_THREE), Refused)
