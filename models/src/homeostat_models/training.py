"""From normal recordings to the model's parameters.

Every recording is cut in time: its first half teaches, the next quarter calibrates, and the last quarter is kept for
evaluation and never looked at here. Samples lie too close in time to be independent, so a random cut would flatter.
Calibration replays the adaptation that an endpoint runs, since that is what its p-values will be read under.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log, sqrt

import numpy as np

from homeostat.adaptation import Prior, Usual, centre_and_scale, learn
from homeostat.catalogue import THRESHOLDS
from homeostat.features import FEATURES
from homeostat.sample import METRICS
from homeostat_models.datasets import Floats, ModelsError, Recording, Vectors
from homeostat_models.reference import Calibration, Float32s, Parameters, contributions, length, standardised

TEACH, CALIBRATE = 0.5, 0.25  # shares of each recording's time; the rest is for evaluation
SAMPLES_LEAST = 400  # normal samples in all: 100 to calibrate with, and enough to leave the prior behind while teaching
CALIBRATION_MAX = 2_000  # distances kept in the graph; more are thinned evenly
# The correlations of one machine hold for another only in part: at least this share of the matrix is "no correlation".
SHRINKAGE_LEAST = 0.3
# Deviations beyond this count as this many while teaching, so that a few bursts do not make the whole matrix.
_TEACHING_MAX = 8.0
# The tail begins at the largest tenth, and no later than the tenth largest distance.
TAIL_SHARE, TAIL_LEAST = 0.1, 10
# One-sided 95 % bound of a normal distribution: the tail is taken to fade as slowly as its samples leave possible.
_ONE_SIDED = 1.645
# Parameters are rounded, so that the last bit of a linear algebra library does not change the file.
_DIGITS = 5
# By unit: how wide an endpoint that was never met may differ from the training machine, and how narrow "usual" may get.
# Units that are not named here are compressed to log(1 + x), so that 3 is a factor of 20 and 0.25 one of 1.3.
_WIDE = {"percent": 25.0, "seconds": 1.0}
_WIDE_COMPRESSED = 3.0
_FLOOR = {"percent": 2.0, "seconds": 0.05, "bytes per second": 2.0}
_FLOOR_COMPRESSED = 0.25
# Amounts that rest and burst have hardly any deviation while they rest: a feature's floor is also this part of the
# range (its middle 99 %) that it covered while teaching.
_FLOOR_OF_RANGE, _RANGE = 1.0 / 8.0, (0.005, 0.995)


@dataclass(frozen=True, slots=True)
class Fit:
    """The parameters, what is usual after teaching and calibrating, and what they rest on."""

    parameters: Parameters
    usual: Usual
    samples_taught: int
    shrinkage: float


@dataclass(frozen=True, slots=True)
class Parts:
    """One recording's vectors, cut in time."""

    teach: Vectors
    calibrate: Vectors
    evaluate: Vectors


def fit(recordings: Iterable[Recording]) -> Fit:
    """Fit the model to the normal ones of `recordings`.

    Raises ModelsError when there are fewer than SAMPLES_LEAST normal samples.
    """
    cut = [parts(one) for one in recordings if not one.fault]
    total = sum(len(one.teach) + len(one.calibrate) + len(one.evaluate) for one in cut)
    if total < SAMPLES_LEAST:
        raise ModelsError(f"{total} normal samples are too few to fit a model; at least {SAMPLES_LEAST} are needed")
    taught = np.concatenate([one.teach for one in cut])
    prior = _prior(taught)
    usual = Usual()
    for vector in taught:
        usual = learn(usual, prior, vector.tolist())
    precision, shrinkage = _precision(taught, *centre_and_scale(usual, prior))
    distances, usual = _distances(precision, prior, np.concatenate([one.calibrate for one in cut]), usual)
    return Fit(Parameters(precision, calibrated(distances), prior), usual, len(taught), shrinkage)


def parts(recording: Recording) -> Parts:
    """Cut one recording's vectors in time."""
    vectors = recording.vectors()
    first, second = int(len(vectors) * TEACH), int(len(vectors) * (TEACH + CALIBRATE))
    return Parts(vectors[:first], vectors[first:second], vectors[second:])


def calibrated(distances: Sequence[float] | Floats) -> Calibration:
    """Return the calibration that rests on held-out distances, 2 * TAIL_LEAST or more.

    Raises ModelsError when there are fewer, or when they do not differ.
    """
    ascending = _rounded(np.sort(np.asarray(distances, dtype=np.float64)))
    ascending = ascending[:: ceil(len(ascending) / CALIBRATION_MAX)] if len(ascending) else ascending
    if len(ascending) < 2 * TAIL_LEAST:
        raise ModelsError(f"{len(ascending)} samples are too few to calibrate with; {2 * TAIL_LEAST} are needed")
    largest = max(TAIL_LEAST, ceil(len(ascending) * TAIL_SHARE))
    start = float(ascending[-largest])
    if not 0.0 < start < float(ascending[-1]):
        raise ModelsError("the samples to calibrate with hardly differ: record the machine at several loads")
    share = (1 + int(np.count_nonzero(ascending >= np.float32(start)))) / (1 + len(ascending))
    fade = float(_rounded(np.array([_fade(ascending, start, share)]))[0])
    alarm = start + fade * log(share / THRESHOLDS["alarm_p_value"].default)
    return Calibration(ascending, start, share, fade, alarm)


def _fade(ascending: Float32s, start: float, share: float) -> float:
    """Return the fastest fading that neither the estimate's doubt nor any sample's own count speaks against."""
    beyond = ascending[ascending > start].astype(np.float64) - start
    slowest = float(beyond.mean()) * (1.0 + _ONE_SIDED / sqrt(len(beyond)))
    for i, one in enumerate(beyond):
        counted = (1 + len(beyond) - i) / (1 + len(ascending))
        slowest = max(slowest, float(one) / log(share / counted))
    # A little more, so that rounding cannot carry the tail below a count.
    return slowest * (1.0 + 1e-4)


def _prior(taught: Vectors) -> Prior:
    columns = zip(FEATURES, taught.T, strict=True)
    rows = [_expected(name, column[np.isfinite(column)]) for name, column in columns]
    centre, scale, floor = _rounded(np.array(rows)).T.tolist()
    return Prior(tuple(centre), tuple(scale), tuple(floor))


def _expected(name: str, values: Floats) -> tuple[float, float, float]:
    """Return centre, scale and floor of one feature; one that was never seen gets the centre 0."""
    unit = METRICS[name]
    wide, floor = _WIDE.get(unit, _WIDE_COMPRESSED), _FLOOR.get(unit, _FLOOR_COMPRESSED)
    if not len(values):
        return 0.0, wide, floor
    low, high = np.quantile(values, _RANGE)
    return float(values.mean()), wide, max(floor, float(high - low) * _FLOOR_OF_RANGE)


def _precision(taught: Vectors, centre: Sequence[float], scale: Sequence[float]) -> tuple[Float32s, float]:
    z = np.array([standardised(vector.tolist(), centre, scale) for vector in taught], dtype=np.float64)
    z = np.clip(z, -_TEACHING_MAX, _TEACHING_MAX)
    covariance = z.T @ z / len(z)
    # Where a floor made the scale wider than what was seen, the matrix must not take that width back.
    covariance += np.diag(np.maximum(1.0 - np.diag(covariance), 0.0))
    shrinkage = max(_oracle_shrinkage(covariance, len(z)), SHRINKAGE_LEAST)
    size = len(covariance)
    target = np.eye(size) * float(np.trace(covariance)) / size
    inverse = np.linalg.inv((1.0 - shrinkage) * covariance + shrinkage * target)
    return _rounded((inverse + inverse.T) / 2.0), shrinkage


def _oracle_shrinkage(covariance: Floats, samples: int) -> float:
    """Return the oracle approximating shrinkage (Chen, Wiesel, Eldar and Hero, 2010) of a sample covariance."""
    size = len(covariance)
    mean = float(np.trace(covariance)) / size
    spread = float((covariance**2).mean())
    numerator = spread + mean**2
    denominator = (samples + 1) * (spread - mean**2 / size)
    return 1.0 if denominator <= 0 else min(numerator / denominator, 1.0)


def _distances(precision: Float32s, prior: Prior, vectors: Vectors, usual: Usual) -> tuple[list[float], Usual]:
    found = []
    for vector in vectors.tolist():
        z = standardised(vector, *centre_and_scale(usual, prior))
        found.append(float(length(contributions(precision, z))))
        usual = learn(usual, prior, vector)
    return found, usual


def _rounded(values: Floats) -> Float32s:
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.where(values == 0, 0, np.floor(np.log10(np.abs(values))))
    step = 10.0 ** (places - _DIGITS + 1)
    return (np.round(values / step) * step).astype(np.float32)
