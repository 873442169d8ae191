"""Join tokens: what an administrator carries, and what an endpoint may present of it."""

import base64
import contextlib
from datetime import timedelta

import pytest
from fixtures_controller import START
from hypothesis import given
from hypothesis import strategies as st

from homeostat.wire.v1 import enrolment_pb2
from homeostat_controller.agents import join_tokens
from homeostat_controller.agents.join_tokens import Contact
from homeostat_controller.errors import Invalid

SECRET = b"s" * 32


def test_a_token_carries_everything_and_gives_its_secret_back() -> None:
    text = join_tokens.write(SECRET, Contact(b"root", "one.example:8441"), START + timedelta(hours=1))
    raw = base64.urlsafe_b64decode(text.removeprefix("hst1:") + "===")
    token = enrolment_pb2.JoinToken.FromString(raw)
    assert (token.secret, token.authority_der, token.enrol_address) == (SECRET, b"root", "one.example:8441")
    assert token.expires_at.ToSeconds() == (START + timedelta(hours=1)).timestamp()
    assert join_tokens.secret_of(text) == SECRET
    assert text.removeprefix("hst1:").replace("-", "").replace("_", "").isalnum()


def test_the_secret_alone_is_enough() -> None:
    assert join_tokens.secret_of(base64.urlsafe_b64encode(SECRET).decode().rstrip("=")) == SECRET


@pytest.mark.parametrize("said", ["hst1:%%%", "hst1:" + "A" * 10_000, "not base64!", "hst1:////", "é"])
def test_what_is_no_token_is_refused_without_being_repeated(said: str) -> None:
    with pytest.raises(Invalid, match=r"^this is no enrolment token$"):
        join_tokens.secret_of(said)


@given(said=st.text(max_size=300))
def test_no_text_is_a_fault(said: str) -> None:
    for text in (said, "hst1:" + said):
        with contextlib.suppress(Invalid):
            assert isinstance(join_tokens.secret_of(text), bytes)
