"""What is usual for one endpoint: a running, winsorised mean and deviation of every feature.

Shared, so that a model is calibrated with exactly the adaptation that it will run under. One invariant: however wild a
value is, it moves a mean by a bounded amount; and what is usual never narrows below the model's floors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt

# Values of a feature before its own mean and deviation replace the model's: at the default 5 s, ten minutes.
SAMPLES_LEAST = 120
# Values over which the past fades to 1/e: at the default 5 s, one day.
SAMPLES_REMEMBERED = 17_280
# A value counts as at most this many deviations from the mean when it is learnt.
DEVIATIONS_MAX = 4.0


@dataclass(frozen=True, slots=True)
class Prior:
    """What a model expects of an endpoint that it has not met, per feature: `scale` wide, `floor` the narrowest."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    floor: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """One feature so far: how many values, their mean and variance."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0


@dataclass(frozen=True, slots=True)
class Usual:
    """The state between samples, one entry per feature; empty before the first."""

    features: tuple[Running, ...] = field(default=())


def learn(usual: Usual, prior: Prior, features: Sequence[float]) -> Usual:
    """Return the state after one more vector; features that are missing (not finite) stay as they are."""
    known = usual.features or tuple(Running(mean=centre) for centre in prior.centre)
    return Usual(
        tuple(
            _learn(running, value, wide, floor) if isfinite(value) else running
            for running, value, wide, floor in zip(known, features, prior.scale, prior.floor, strict=True)
        )
    )


def centre_and_scale(usual: Usual, prior: Prior) -> tuple[list[float], list[float]]:
    """Return what to hold the next vector against: the endpoint's own where enough was seen, else the prior."""
    centre, scale = list(prior.centre), list(prior.scale)
    for i, running in enumerate(usual.features):
        if running.count >= SAMPLES_LEAST:
            centre[i], scale[i] = running.mean, max(sqrt(running.variance), prior.floor[i])
    return centre, scale


def _learn(running: Running, value: float, wide: float, floor: float) -> Running:
    deviation = max(sqrt(running.variance), floor)
    # Young statistics are too narrow to judge by: until there are enough, the prior's width bounds what is learnt.
    bound = DEVIATIONS_MAX * (deviation if running.count >= SAMPLES_LEAST else max(deviation, wide))
    step = min(max(value - running.mean, -bound), bound)
    if not running.count:
        return Running(1, running.mean + step)
    rate = max(1.0 / (running.count + 1), 1.0 / SAMPLES_REMEMBERED)
    count = min(running.count + 1, SAMPLES_REMEMBERED)
    return Running(count, running.mean + rate * step, (1.0 - rate) * (running.variance + rate * step * step))
