"""From a window of samples to the vector that the model scores.

The order of FEATURES is part of the contract with every trained model: a change of it, or of `extract`, is a new
FEATURE_SET_VERSION, and an agent refuses a model made for another one.
"""

from math import expm1, log1p, nan

from homeostat.sample import METRICS, Window

FEATURE_SET_VERSION = 1

# Every metric as it is, in METRICS' order; amounts without an upper end are compressed by log(1 + x).
FEATURES: tuple[str, ...] = tuple(METRICS)
COMPRESSED = frozenset(name for name, unit in METRICS.items() if unit not in ("percent", "seconds"))
_LOG_MAX = 709.0  # beyond, expm1 has no float


def extract(window: Window) -> tuple[float, ...]:
    """Return the newest sample's feature vector, len(FEATURES) numbers; NaN where a metric is missing.

    Raises ValueError on an empty window.
    """
    if not window.samples:
        raise ValueError("no sample to extract features from")
    values = window.samples[-1].values
    return tuple(_feature(name, values.get(name, nan)) for name in FEATURES)


def natural(name: str, value: float) -> float:
    """Return a feature's value in its metric's own unit, for people to read; KeyError for what is no feature."""
    if name not in METRICS:
        raise KeyError(name)
    return expm1(min(value, _LOG_MAX)) if name in COMPRESSED else value


def _feature(name: str, value: float) -> float:
    return log1p(max(value, 0.0)) if name in COMPRESSED else value
