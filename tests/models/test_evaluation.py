"""Figures are counts over what was kept back."""

from collections.abc import Sequence

import numpy as np

from fakes.recordings import made_up
from homeostat.adaptation import Usual
from homeostat.detection import ANOMALY_SAMPLES
from homeostat.features import FEATURES
from homeostat_models.evaluation import evaluate
from homeostat_models.reference import Result
from homeostat_models.training import fit

PRIOR = fit([made_up("normal-a", 400)]).parameters.prior


class Prepared:
    """Gives these p-values in turn; all the blame on the second feature."""

    def __init__(self, p_values: Sequence[float]) -> None:
        self.left = list(p_values)

    def __call__(self, features: Sequence[float], centre: Sequence[float], scale: Sequence[float]) -> Result:
        share = np.zeros(len(FEATURES), dtype=np.float32)
        share[1] = 1.0
        return Result(0.0, self.left.pop(0), share)


def test_only_the_last_quarter_of_a_normal_recording_is_counted() -> None:
    figures = evaluate(Prepared([0.5, 0.05, 0.01, 0.001, 0.0001]), PRIOR, Usual(), [made_up("normal-a", 20)])
    assert figures.normal == 5
    assert figures.at_most == {"0.05": 4, "0.01": 3, "0.001": 2, "0.0001": 1}
    assert figures.shown_falsely == 0


def test_a_false_alarm_is_shown_when_it_holds_and_counted_once() -> None:
    alarms = [1e-5] * (ANOMALY_SAMPLES + 3) + [0.5] + [1e-5] * (ANOMALY_SAMPLES - 1)
    figures = evaluate(Prepared(alarms), PRIOR, Usual(), [made_up("normal-a", 4 * len(alarms))])
    assert figures.shown_falsely == 1


def test_every_sample_of_a_fault_is_counted() -> None:
    p_values = [0.5] * 2 + [1e-5] * ANOMALY_SAMPLES
    fault = made_up("fault-busy", len(p_values), burst=50.0)
    (found,) = evaluate(Prepared(p_values), PRIOR, Usual(), [fault]).faults
    assert (found.fault, found.samples, found.alarms, found.shown) == ("busy", len(p_values), ANOMALY_SAMPLES, True)
    assert found.features[0] == FEATURES[1]


def test_a_fault_that_raises_no_alarm_is_told_as_such() -> None:
    (found,) = evaluate(Prepared([0.5] * 9), PRIOR, Usual(), [made_up("fault-busy", 9, burst=1.0)]).faults
    assert (found.alarms, found.shown) == (0, False)


def test_a_fault_without_samples_has_no_figures() -> None:
    (found,) = evaluate(Prepared([]), PRIOR, Usual(), [made_up("fault-busy", 0, burst=1.0)]).faults
    assert (found.samples, found.features) == (0, ())
