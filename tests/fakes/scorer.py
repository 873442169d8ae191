"""A Scorer that answers what it was told to, for tests of what comes after the score."""

from collections.abc import Iterable
from math import isfinite

from homeostat.evidence import Anomaly
from homeostat.features import FEATURES


class FakeScorer:
    """Gives the prepared answers in turn, then the last again; `learnt` holds the vectors it was to learn from."""

    model = "fake-1"

    def __init__(self, answers: Iterable[Anomaly | None] = (Anomaly(score=0.1, p_value=0.5, model="fake-1"),)) -> None:
        self._answers = list(answers)
        self.learnt: list[tuple[float, ...]] = []
        self.saved: list[tuple[float, ...]] = []
        self.closed = False

    def score(self, features: tuple[float, ...], *, learn: bool) -> Anomaly | None:
        if len(features) != len(FEATURES):
            raise ValueError(f"{len(features)} features, not {len(FEATURES)}")
        if not any(map(isfinite, features)):
            return None
        if learn:
            self.learnt.append(features)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def save(self) -> None:
        self.saved = list(self.learnt)

    def close(self) -> None:
        self.closed = True
