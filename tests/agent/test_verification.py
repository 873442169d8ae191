import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures_signing import GRANT_TAG, POLICY_TAG, Signer, signed, trusted

from homeostat_agent.verification import (
    REQUEST_BYTES_MAX,
    SIGNED_BYTES_MAX,
    TRUSTED_KEYS_BYTES_MAX,
    Refused,
    Verified,
    verify_in_child,
)

ANNA = Signer()
KEYS = trusted([ANNA]).SerializeToString()
CHILD = "homeostat_agent.verification_child"


def test_the_child_vouches_for_what_is_signed() -> None:
    policy = signed(POLICY_TAG, b"a policy", ANNA).SerializeToString()
    assert verify_in_child("policy", policy, KEYS) == Verified(b"a policy")
    grant = signed(GRANT_TAG, b"a grant", ANNA).SerializeToString()
    assert verify_in_child("grant", grant, KEYS) == Verified(b"a grant")


def test_the_largest_content_goes_through_and_a_larger_one_is_not_even_sent() -> None:
    room = SIGNED_BYTES_MAX - len(signed(POLICY_TAG, bytes(SIGNED_BYTES_MAX), ANNA).SerializeToString())
    payload = os.urandom(SIGNED_BYTES_MAX + room)
    message = signed(POLICY_TAG, payload, ANNA).SerializeToString()
    assert verify_in_child("policy", message, KEYS) == Verified(payload)
    assert verify_in_child("policy", message + b"x", KEYS) == Refused(
        "The signed policy has 262145 bytes; the limit is 262144."
    )
    assert verify_in_child("policy", message, bytes(TRUSTED_KEYS_BYTES_MAX + 1)) == Refused(
        "The trusted keys have 65537 bytes; the limit is 65536."
    )


def test_a_refusal_of_the_child_comes_back_and_is_sure() -> None:
    assert verify_in_child("policy", b"", KEYS) == Refused("The policy is not signed.")
    of_other_kind = signed(GRANT_TAG, b"a grant", ANNA).SerializeToString()
    assert verify_in_child("policy", of_other_kind, KEYS) == Refused(
        "The policy is signed by 0 of the trusted keys; 1 must sign."
    )


def test_a_child_that_is_too_slow_is_a_refusal_that_is_not_sure() -> None:
    policy = signed(POLICY_TAG, b"a policy", ANNA).SerializeToString()
    verdict = verify_in_child("policy", policy, KEYS, timeout_s=0.001)
    assert isinstance(verdict, Refused)
    assert not verdict.sure
    assert "did not answer within 0.001 s" in verdict.reason


@pytest.mark.parametrize("request_bytes", [b"", b"\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x05abc"])
def test_a_torn_request_is_refused_by_the_child(request_bytes: bytes) -> None:
    argv = [sys.executable, "-I", "-m", CHILD, "policy"]
    done = subprocess.run(argv, input=request_bytes, capture_output=True, check=True)
    assert done.stdout.startswith(b"-")


@pytest.mark.parametrize("kinds", [[], ["model"], ["policy", "grant"]])
def test_a_child_asked_about_no_known_kind_refuses(kinds: list[str]) -> None:
    done = subprocess.run([sys.executable, "-I", "-m", CHILD, *kinds], input=b"", capture_output=True, check=True)
    assert done.stdout == b"-The kind of signed content is not known."


def test_a_request_above_the_bound_is_not_answered() -> None:
    argv = [sys.executable, "-I", "-m", CHILD, "policy"]
    done = subprocess.run(argv, input=bytes(REQUEST_BYTES_MAX + 1), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_the_resident_side_never_loads_cryptography() -> None:
    program = (
        "import sys; from homeostat_agent.verification import verify_in_child as v; "
        "print(v('policy', b'', b'')); print(sorted(m for m in sys.modules if m.startswith(('cryptography', 'ssl'))))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"
    assert "0 of 0" in done.stdout


def test_nothing_in_the_environment_or_the_folder_reaches_the_child(tmp_path: Path) -> None:
    (tmp_path / "homeostat_agent").mkdir()
    (tmp_path / "homeostat_agent" / "__init__.py").write_text("raise SystemExit(9)")
    program = "from homeostat_agent.verification import verify_in_child as v; print(v('policy', b'', b''))"
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "x", "PATH": os.environ["PATH"]}
    argv = [sys.executable, "-I", "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
    assert "0 of 0" in done.stdout
