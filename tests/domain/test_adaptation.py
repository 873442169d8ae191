"""What is usual moves slowly, by bounded steps, and only where something was measured."""

from math import inf, nan, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adaptation import (
    DEVIATIONS_MAX,
    SAMPLES_LEAST,
    SAMPLES_REMEMBERED,
    Prior,
    Running,
    Usual,
    centre_and_scale,
    learn,
)

PRIOR = Prior(centre=(10.0, 0.0), scale=(25.0, 3.0), floor=(1.0, 0.5))


def taught(values: list[tuple[float, float]], usual: Usual | None = None) -> Usual:
    usual = usual or Usual()
    for value in values:
        usual = learn(usual, PRIOR, value)
    return usual


def test_before_anything_is_learnt_the_prior_stands() -> None:
    assert centre_and_scale(Usual(), PRIOR) == ([10.0, 0.0], [25.0, 3.0])


def test_the_prior_stands_until_the_least_number_of_values() -> None:
    usual = taught([(40.0, 1.0)] * (SAMPLES_LEAST - 1))
    assert centre_and_scale(usual, PRIOR) == ([10.0, 0.0], [25.0, 3.0])
    centre, scale = centre_and_scale(learn(usual, PRIOR, (40.0, 1.0)), PRIOR)
    assert centre == pytest.approx([40.0, 1.0])
    assert scale == [1.0, 0.5]  # nothing moved: the floors


def test_each_feature_leaves_the_prior_on_its_own() -> None:
    usual = taught([(40.0, nan)] * SAMPLES_LEAST)
    centre, scale = centre_and_scale(usual, PRIOR)
    assert (centre[1], scale[1]) == (0.0, 3.0)
    assert usual.features[1] == Running()


@pytest.mark.parametrize("missing", [nan, inf, -inf])
def test_what_is_missing_changes_nothing(missing: float) -> None:
    before = taught([(12.0, 1.0), (13.0, 2.0)])
    assert learn(before, PRIOR, (missing, missing)) == before


def test_mean_and_deviation_are_those_of_calm_values() -> None:
    random = Random(1)  # noqa: S311  # a repeatable sequence, no secret
    values = [(random.gauss(50.0, 5.0), random.gauss(2.0, 1.0)) for _ in range(3000)]
    centre, scale = centre_and_scale(taught(values), PRIOR)
    assert centre == pytest.approx([50.0, 2.0], abs=0.5)
    assert scale == pytest.approx([5.0, 1.0], rel=0.1)


def test_a_wild_first_value_counts_as_the_widest_that_is_believed() -> None:
    usual = learn(Usual(), PRIOR, (1e300, -1e300))
    assert usual.features == (Running(1, 10.0 + DEVIATIONS_MAX * 25.0), Running(1, -DEVIATIONS_MAX * 3.0))


def test_memory_is_bounded() -> None:
    full = Usual((Running(SAMPLES_REMEMBERED, 10.0, 4.0), Running(SAMPLES_REMEMBERED, 0.0, 4.0)))
    after = learn(full, PRIOR, (11.0, 1.0))
    assert [one.count for one in after.features] == [SAMPLES_REMEMBERED] * 2
    assert after.features[0].mean == pytest.approx(10.0 + 1.0 / SAMPLES_REMEMBERED)


def test_a_vector_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        learn(Usual(), PRIOR, (1.0,))


@given(
    st.integers(1, SAMPLES_REMEMBERED),
    st.floats(-1e3, 1e3),
    st.floats(0.0, 1e4),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_no_value_moves_a_mean_further_than_its_bound(count: int, mean: float, variance: float, value: float) -> None:
    before = Running(count, mean, variance)
    after = learn(Usual((before, before)), PRIOR, (value, nan)).features[0]
    width = max(sqrt(variance), 1.0) if count >= SAMPLES_LEAST else max(sqrt(variance), 25.0)
    assert abs(after.mean - mean) <= DEVIATIONS_MAX * width / 2 * (1 + 1e-9)
    assert after.variance >= 0.0
