"""What the model means: distance, share, and a p-value that never claims more than was counted."""

from itertools import pairwise
from math import exp, nan

import numpy as np
import pytest

from homeostat.adaptation import Prior, Usual
from homeostat_models.reference import (
    DEVIATIONS_MAX,
    P_VALUE_LEAST,
    Calibration,
    Parameters,
    p_value,
    replay,
    score,
    standardised,
)

COUNTED = Calibration(np.array([1, 2, 4, 8], dtype=np.float32), start=4.0, share=0.6, fade=2.0, alarm=10.0)
PRIOR = Prior((0.0, 0.0), (1.0, 1.0), (1.0, 1.0))
PARAMETERS = Parameters(np.eye(2, dtype=np.float32), COUNTED, PRIOR)


def test_a_missing_number_is_usual() -> None:
    assert standardised([nan, 3.0], [5.0, 1.0], [1.0, 2.0]).tolist() == [0.0, 1.0]


def test_deviations_are_bounded() -> None:
    assert standardised([1e30, -1e30], [0.0, 0.0], [1.0, 1.0]).tolist() == [DEVIATIONS_MAX, -DEVIATIONS_MAX]


@pytest.mark.parametrize(
    ("distance", "expected"),
    [(0.0, 1.0), (1.0, 1.0), (1.5, 0.8), (2.0, 0.8), (4.0, 0.6), (8.0, 0.6 * exp(-2)), (24.0, 0.6 * exp(-10))],
)
def test_the_p_value_is_counted_and_then_fades(distance: float, expected: float) -> None:
    assert p_value(COUNTED, np.float32(distance)) == pytest.approx(expected, rel=1e-6)


def test_the_p_value_never_rises_with_the_distance() -> None:
    found = [p_value(COUNTED, np.float32(distance)) for distance in np.linspace(0.0, 200.0, 500)]
    assert all(after <= before for before, after in pairwise(found))


def test_the_p_value_has_a_least() -> None:
    assert p_value(COUNTED, np.float32(1e30)) == np.float32(P_VALUE_LEAST)


def test_the_score_is_a_half_at_the_alarm() -> None:
    assert score(PARAMETERS, [6.0, -8.0], [0.0, 0.0], [1.0, 1.0]).score == pytest.approx(0.5)


def test_shares_sum_to_one_and_follow_the_deviation() -> None:
    share = score(PARAMETERS, [1.0, 3.0], [0.0, 0.0], [1.0, 1.0]).share
    assert share.sum() == pytest.approx(1.0)
    assert share.tolist() == pytest.approx([0.1, 0.9], abs=1e-4)


def test_shares_of_a_wholly_usual_vector_are_even() -> None:
    assert score(PARAMETERS, [nan, 0.0], [0.0, 0.0], [1.0, 1.0]).share.tolist() == [0.5, 0.5]


def test_replay_scores_before_it_learns() -> None:
    seen = []

    def scoring(features: object, centre: object, scale: object) -> object:
        seen.append((features, centre, scale))
        return None

    results, usual = replay(scoring, PRIOR, [[1.0, 2.0], [3.0, 4.0]], Usual())  # type: ignore[arg-type]  # a probe
    assert results == [None, None]
    assert seen == [([1.0, 2.0], [0.0, 0.0], [1.0, 1.0]), ([3.0, 4.0], [0.0, 0.0], [1.0, 1.0])]
    assert [one.count for one in usual.features] == [2, 2]
