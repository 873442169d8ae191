from collections.abc import Callable

import pytest
from pydantic import BaseModel, ValidationError

from homeostat_controller.api.requests import (
    DOCUMENT_CHARACTERS_MAX,
    LABELS_MAX,
    REASON_CHARACTERS_MAX,
    TOKEN_MINUTES_MAX,
    Approve,
    Asked,
    Deny,
    Document,
    Target,
    TokenAsked,
    Welcome,
)

TARGET = Target(endpoint_id="ep-1", incident_id="inc-1", plan_digest="a" * 64, state_digest="b" * 64)


@pytest.mark.parametrize("kind", [Target, Approve, Deny, Document, TokenAsked, Welcome])
def test_an_unknown_field_is_an_error(kind: type[Asked]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        kind.model_validate({"unknown": 1})


@pytest.mark.parametrize("reason", ["", " ", "\n\t", "x" * (REASON_CHARACTERS_MAX + 1)])
def test_a_reason_says_something_and_is_bounded(reason: str) -> None:
    with pytest.raises(ValidationError):
        Deny(reason=reason)
    assert Deny(reason="x" * REASON_CHARACTERS_MAX).reason


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (
            lambda: Document(text="x" * DOCUMENT_CHARACTERS_MAX),
            lambda: Document(text="x" * (DOCUMENT_CHARACTERS_MAX + 1)),
        ),
        (lambda: TokenAsked(minutes=TOKEN_MINUTES_MAX), lambda: TokenAsked(minutes=TOKEN_MINUTES_MAX + 1)),
        (lambda: TokenAsked(minutes=1), lambda: TokenAsked(minutes=0)),
        (
            lambda: TokenAsked(labels={str(n): "x" for n in range(LABELS_MAX)}),
            lambda: TokenAsked(labels={str(n): "x" for n in range(LABELS_MAX + 1)}),
        ),
        (lambda: TokenAsked(labels={"a": "b"}), lambda: TokenAsked(labels={"": "b"})),
        (lambda: TARGET, lambda: Target(**{**TARGET.model_dump(), "plan_digest": "a" * 65})),
    ],
)
def test_bounds(good: Callable[[], BaseModel], bad: Callable[[], BaseModel]) -> None:
    good()
    with pytest.raises(ValidationError):
        bad()


def test_targets_are_compared_whole() -> None:
    assert Target(**TARGET.model_dump()) == TARGET
    assert Target(**{**TARGET.model_dump(), "state_digest": "c" * 64}) != TARGET
