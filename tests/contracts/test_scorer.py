"""What every Scorer keeps to: the fake one and the real one over the real model."""

from collections.abc import Iterator
from math import inf, nan
from pathlib import Path

import pytest

from fakes.built_model import model_folder
from fakes.scorer import FakeScorer
from homeostat.features import FEATURES
from homeostat_agent.decider.onnx_library import OnnxLibrary
from homeostat_agent.decider.scoring import OnnxScorer, Scorer

CALM = tuple(1.0 for _ in FEATURES)


@pytest.fixture(params=["fake", "real"])
def scorer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scorer]:
    if request.param == "fake":
        yield FakeScorer()
        return
    library = OnnxLibrary()
    made, _ = OnnxScorer.open(model_folder(tmp_path / "models"), tmp_path / "usual.json", library)
    yield made
    made.close()
    library.close()


def test_a_score_and_a_p_value_are_shares(scorer: Scorer) -> None:
    anomaly = scorer.score(CALM, learn=True)
    assert anomaly is not None
    assert 0.0 <= anomaly.score <= 1.0
    assert 0.0 < anomaly.p_value <= 1.0


def test_the_answer_names_the_model(scorer: Scorer) -> None:
    anomaly = scorer.score(CALM, learn=False)
    assert anomaly is not None
    assert anomaly.model == scorer.model != ""


@pytest.mark.parametrize("nothing", [nan, inf, -inf])
def test_nothing_measured_gives_no_score(scorer: Scorer, nothing: float) -> None:
    assert scorer.score(tuple(nothing for _ in FEATURES), learn=True) is None


def test_a_vector_of_another_length_is_a_mistake(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="features"):
        scorer.score((1.0, 2.0), learn=False)


def test_saving_and_closing_twice_is_harmless(scorer: Scorer) -> None:
    scorer.score(CALM, learn=True)
    scorer.save()
    scorer.save()
    scorer.close()
    scorer.close()
