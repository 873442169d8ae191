"""What a model is worth on samples it has not seen: how often it cries on normal ones, how often on injected faults.

Normal figures come from the last part of each normal recording, which neither teaching nor calibrating looked at; fault
recordings are never taught from. Samples are replayed as on an endpoint, adaptation included. One invariant: every
figure is a count over all samples in question, none is left out or adjusted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from homeostat.adaptation import Prior, Usual
from homeostat.catalogue import THRESHOLDS
from homeostat.detection import ANOMALY_SAMPLES
from homeostat.features import FEATURES
from homeostat_models.datasets import Recording
from homeostat_models.reference import Result, Scoring, replay
from homeostat_models.training import parts

P_VALUES = (0.05, 0.01, 0.001, 0.0001)
_ATTRIBUTED = 3  # features named per fault


@dataclass(frozen=True, slots=True)
class FaultFigures:
    """One fault recording: `alarms` of `samples` at the default alarm, and whether they held long enough to show."""

    fault: str
    samples: int
    alarms: int
    shown: bool
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`at_most` maps a p-value to how many of the `normal` samples were given it or less."""

    normal: int
    at_most: dict[str, int]
    shown_falsely: int
    faults: tuple[FaultFigures, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return asdict(self)


def evaluate(scoring: Scoring, prior: Prior, usual: Usual, recordings: Iterable[Recording]) -> Evaluation:
    """Replay what was kept back, each recording from the same state `usual`."""
    kept = tuple(recordings)
    normal: list[Result] = []
    shown = 0
    for one in kept:
        if not one.fault:
            results, _ = replay(scoring, prior, parts(one).evaluate.tolist(), usual)
            shown += _times_shown(results)
            normal += results
    at_most = {f"{p:g}": sum(one.p_value <= p for one in normal) for p in P_VALUES}
    faults = tuple(_fault(scoring, prior, usual, one) for one in kept if one.fault)
    return Evaluation(len(normal), at_most, shown, faults)


def _fault(scoring: Scoring, prior: Prior, usual: Usual, recording: Recording) -> FaultFigures:
    results, _ = replay(scoring, prior, recording.vectors().tolist(), usual)
    alarms = [one for one in results if _alarm(one)]
    return FaultFigures(
        recording.fault, len(results), len(alarms), _times_shown(results) > 0, _attributed(alarms or results)
    )


def _alarm(result: Result) -> bool:
    return result.p_value <= THRESHOLDS["alarm_p_value"].default


def _times_shown(results: Sequence[Result]) -> int:
    """Count the runs of alarms that are as long as an endpoint asks for before it shows an anomaly."""
    runs = held = 0
    for one in results:
        held = held + 1 if _alarm(one) else 0
        runs += held == ANOMALY_SAMPLES
    return runs


def _attributed(results: Sequence[Result]) -> tuple[str, ...]:
    if not results:
        return ()
    mean = np.mean([one.share for one in results], axis=0)
    order = sorted(range(len(FEATURES)), key=lambda i: (-float(mean[i]), i))
    return tuple(FEATURES[i] for i in order[:_ATTRIBUTED])
