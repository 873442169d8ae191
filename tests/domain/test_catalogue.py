import re
from math import isfinite

import pytest

from homeostat.catalogue import ACTIONS, THRESHOLDS, VERIFIERS, ActionSpec, Parameter, Risk, ThresholdSpec

NAME = re.compile(r"[a-z][a-z0-9_]*")
NUMBERS: list[Parameter | ThresholdSpec] = [
    *THRESHOLDS.values(),
    *(parameter for spec in ACTIONS.values() for parameter in spec.parameters),
]


def test_risks_are_ordered_and_have_words() -> None:
    assert sorted(Risk) == [Risk.LOW, Risk.MEDIUM, Risk.HIGH]
    assert [risk.word for risk in Risk] == ["low", "medium", "high"]


@pytest.mark.parametrize("spec", ACTIONS.values(), ids=str)
def test_an_action_can_be_verified_and_explains_itself(spec: ActionSpec) -> None:
    assert VERIFIERS[spec.verifier].subject_kind is spec.subject_kind
    assert all(text.endswith(".") for text in (spec.summary, spec.undo))
    assert len({one.name for one in spec.parameters}) == len(spec.parameters)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda one: one.name)
def test_every_number_has_a_unit_and_a_default_within_its_bounds(number: Parameter | ThresholdSpec) -> None:
    assert number.unit
    assert number.least <= number.default <= number.most
    assert all(map(isfinite, (number.least, number.default, number.most)))


@pytest.mark.parametrize("entries", [ACTIONS, VERIFIERS, THRESHOLDS])
def test_everything_stands_under_its_own_name(entries: dict[str, ActionSpec]) -> None:
    assert [spec.name for spec in entries.values()] == list(entries)
    assert all(NAME.fullmatch(name) for name in entries)


def test_nobody_can_add_to_the_catalogue() -> None:
    with pytest.raises(TypeError):
        ACTIONS["format_disk"] = ACTIONS["restart_service"]  # type: ignore[index]  # that is what is tried
