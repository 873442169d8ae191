"""The model in numpy: what the ONNX graph must compute, stated once in the plainest way.

A vector is held against a centre and a scale, missing numbers count as usual, and the distance that is left, measured
through a shrunk precision matrix, is how unusual it is. Its p-value is the share of held-out normal samples at least as
far away: counted, as (1 + such samples) / (1 + all), and past the start of the tail an exponential that was fitted so
as never to claim less than that count. Features are percentages or logarithms, whose own tails are no heavier; it still
is an extrapolation from few samples, and no statement about machines that were not recorded. All arithmetic is float32,
as in the graph.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from homeostat.adaptation import Prior, Usual, centre_and_scale, learn

Float32s = npt.NDArray[np.float32]

# Deviations beyond this count as this many: one absurd number must not swamp the attribution of the rest.
DEVIATIONS_MAX = 50.0
# No p-value is smaller: nothing here was measured that could tell one in a million million from less.
P_VALUE_LEAST = 1e-12
# Added to each feature's part, so that shares always sum to 1.
PART_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """Held-out distances, ascending, and the tail: p = share · e ^ -((distance - start) / fade) beyond `start`.

    `alarm` is the distance at which the p-value reaches the default alarm threshold; there the score is 0.5.
    """

    distances: Float32s
    start: float
    share: float
    fade: float
    alarm: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """All that the graph holds: the precision matrix (features x features), the calibration and the prior."""

    precision: Float32s
    calibration: Calibration
    prior: Prior


@dataclass(frozen=True, slots=True)
class Result:
    """What the model says of one vector; `share` has one number per feature and sums to 1."""

    score: float
    p_value: float
    share: Float32s


class Scoring(Protocol):
    """Anything that computes the model: this module's function with its parameters bound, or an ONNX session."""

    def __call__(self, features: Sequence[float], centre: Sequence[float], scale: Sequence[float]) -> Result:
        """Score one vector."""


def score(parameters: Parameters, features: Sequence[float], centre: Sequence[float], scale: Sequence[float]) -> Result:
    """Score one feature vector (NaN: missing) against a centre and a scale of the same length."""
    parts = contributions(parameters.precision, standardised(features, centre, scale))
    distance = length(parts)
    positive = np.maximum(parts, np.float32(0)) + np.float32(PART_LEAST)
    return Result(
        score=float(distance / (distance + np.float32(parameters.calibration.alarm))),
        p_value=p_value(parameters.calibration, distance),
        share=positive / positive.sum(dtype=np.float32),
    )


def standardised(features: Sequence[float], centre: Sequence[float], scale: Sequence[float]) -> Float32s:
    """Return the deviations from usual, 0 where the feature is missing, within ±DEVIATIONS_MAX."""
    values, middle, width = (float32s(one) for one in (features, centre, scale))
    z = np.where(np.isnan(values), np.float32(0), (values - middle) / width)
    return np.clip(z, np.float32(-DEVIATIONS_MAX), np.float32(DEVIATIONS_MAX)).astype(np.float32)


def float32s(values: Sequence[float]) -> Float32s:
    """Return the numbers in single precision; what is too large for it becomes infinite, and counts as bounded."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def contributions(precision: Float32s, z: Float32s) -> Float32s:
    """Return each feature's part of the squared distance; parts may be negative, their sum is not."""
    return (z * (precision @ z)).astype(np.float32)


def length(parts: Float32s) -> np.float32:
    """Return the Mahalanobis distance that has these parts."""
    squared = np.float32(parts.sum(dtype=np.float32))
    return np.float32(np.sqrt(max(squared, np.float32(0))))


def p_value(calibration: Calibration, distance: np.float32) -> float:
    """Return the share of normal samples at least as far from usual as a distance."""
    if distance <= np.float32(calibration.start):
        at_least = int(np.count_nonzero(calibration.distances >= distance))
        return float(np.float32(1 + at_least) / np.float32(1 + len(calibration.distances)))
    beyond = (distance - np.float32(calibration.start)) / np.float32(calibration.fade)
    fitted = np.float32(calibration.share) * np.exp(-beyond, dtype=np.float32)
    return float(max(fitted, np.float32(P_VALUE_LEAST)))


def replay(
    scoring: Scoring, prior: Prior, vectors: Iterable[Sequence[float]], usual: Usual
) -> tuple[list[Result], Usual]:
    """Score vectors as an endpoint would, one after the other: first scored, then learnt from."""
    results = []
    for vector in vectors:
        results.append(scoring(vector, *centre_and_scale(usual, prior)))
        usual = learn(usual, prior, vector)
    return results, usual
