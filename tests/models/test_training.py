"""Fitting: cut in time, shrunk, calibrated without claiming more than was counted."""

from math import isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.recordings import made_up
from homeostat.catalogue import THRESHOLDS
from homeostat.features import FEATURES
from homeostat_models import training
from homeostat_models.datasets import ModelsError
from homeostat_models.reference import p_value
from homeostat_models.training import SAMPLES_LEAST, TAIL_LEAST, calibrated, fit, parts


def test_a_recording_is_cut_in_time_and_nothing_is_lost() -> None:
    recording = made_up("normal-a", 103)
    cut = parts(recording)
    assert [len(cut.teach), len(cut.calibrate), len(cut.evaluate)] == [51, 26, 26]
    assert np.array_equal(np.concatenate([cut.teach, cut.calibrate, cut.evaluate]), recording.vectors())


def test_too_few_samples_are_refused_at_the_bound() -> None:
    with pytest.raises(ModelsError, match=f"{SAMPLES_LEAST - 1} normal samples are too few"):
        fit([made_up("normal-a", SAMPLES_LEAST - 1)])
    assert fit([made_up("normal-a", SAMPLES_LEAST)]).samples_taught == SAMPLES_LEAST // 2


def test_faults_never_teach() -> None:
    normal = made_up("normal-a", SAMPLES_LEAST)
    with_fault = fit([normal, made_up("fault-b", 200, 2, burst=60.0)])
    assert np.array_equal(with_fault.parameters.precision, fit([normal]).parameters.precision)


def test_the_precision_matrix_is_symmetric_and_positive() -> None:
    precision = fit([made_up("normal-a", SAMPLES_LEAST)]).parameters.precision.astype(np.float64)
    assert precision.shape == (len(FEATURES), len(FEATURES))
    assert np.allclose(precision, precision.T, rtol=1e-4)
    assert np.linalg.eigvalsh(precision).min() > 0.0


def test_at_least_a_third_is_no_correlation() -> None:
    assert fit([made_up("normal-a", 4000)]).shrinkage >= training.SHRINKAGE_LEAST


def test_a_feature_that_was_never_seen_gets_a_wide_prior() -> None:
    recording = made_up("normal-a", SAMPLES_LEAST)
    blind = [
        type(one)(one.at, {name: value for name, value in one.values.items() if name != "swap.used"})
        for one in recording.samples
    ]
    prior = fit([type(recording)("normal-a", "", tuple(blind))]).parameters.prior
    place = FEATURES.index("swap.used")
    assert (prior.centre[place], prior.scale[place], prior.floor[place]) == (0.0, 25.0, 2.0)


def test_the_alarm_lies_where_the_p_value_reaches_the_threshold() -> None:
    calibration = fit([made_up("normal-a", 2000)]).parameters.calibration
    found = p_value(calibration, np.float32(calibration.alarm))
    assert found == pytest.approx(THRESHOLDS["alarm_p_value"].default, rel=1e-3)


def test_calibration_needs_a_tail_and_says_so() -> None:
    with pytest.raises(ModelsError, match="too few to calibrate"):
        calibrated([float(i) for i in range(2 * TAIL_LEAST - 1)])
    assert len(calibrated([float(i) for i in range(2 * TAIL_LEAST)]).distances) == 2 * TAIL_LEAST


@pytest.mark.parametrize("distance", [0.0, 3.0])
def test_samples_that_hardly_differ_cannot_calibrate(distance: float) -> None:
    with pytest.raises(ModelsError, match="hardly differ"):
        calibrated([distance] * 100)


def test_more_distances_than_the_graph_keeps_are_thinned_evenly() -> None:
    many = calibrated(np.arange(1.0, 10 * training.CALIBRATION_MAX + 1))
    assert len(many.distances) == training.CALIBRATION_MAX
    assert float(many.distances.mean()) == pytest.approx(5 * training.CALIBRATION_MAX, rel=0.01)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 1e5), min_size=20, max_size=120, unique=True))
def test_the_tail_never_claims_less_than_was_counted(distances: list[float]) -> None:
    try:
        calibration = calibrated(distances)
    except ModelsError:
        return  # they hardly differ
    assert calibration.fade > 0.0
    assert isfinite(calibration.alarm)
    ordered = calibration.distances
    for place, distance in enumerate(ordered):
        counted = (1 + len(ordered) - place) / (1 + len(ordered))
        assert p_value(calibration, distance) >= counted * (1 - 1e-5) or np.count_nonzero(ordered == distance) > 1
