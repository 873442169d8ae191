"""The real scorer over the real model: what it refuses, what it learns, and that it says what the reference says."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from fakes.built_model import fitted, model_folder, recordings
from homeostat.adaptation import SAMPLES_LEAST, Usual, centre_and_scale, learn
from homeostat.features import FEATURES, natural
from homeostat_agent.decider.model_folder import ModelRefused
from homeostat_agent.decider.onnx_library import OnnxLibrary
from homeostat_agent.decider.scoring import ATTRIBUTIONS_MAX, PRESENT_LEAST, Notice, OnnxScorer
from homeostat_models.reference import score


@pytest.fixture(scope="module")
def library() -> Iterator[OnnxLibrary]:
    library = OnnxLibrary()
    yield library
    library.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "models")


@pytest.fixture
def scorer(library: OnnxLibrary, folder: Path, tmp_path: Path) -> Iterator[OnnxScorer]:
    scorer, notices = OnnxScorer.open(folder, tmp_path / "usual.json", library)
    assert notices == ()
    yield scorer
    scorer.close()


def vectors(count: int) -> list[tuple[float, ...]]:
    rows = [row for one in recordings() if not one.fault for row in one.vectors().tolist()]
    return [tuple(row) for row in rows[:count]]


def prior_centre() -> tuple[float, ...]:
    return fitted().parameters.prior.centre


def probe(length: int) -> str:
    return json.dumps({"features": [0.0] * length, "score": 0.5, "p_value": 2.0})


def repackaged(folder: Path, version: int, metadata: Mapping[str, str] | None = None, **manifest: Any) -> None:
    """Put a changed copy of the model beside it, with a digest that fits."""
    model = onnx.load(folder / "baseline-1.onnx")
    said = {one.key: one.value for one in model.metadata_props} | {"version": str(version)}
    helper.set_model_props(model, said | dict(metadata or {}))
    content = model.SerializeToString()
    (folder / f"baseline-{version}.onnx").write_bytes(content)
    fields = json.loads((folder / "baseline-1.json").read_text())
    fields |= {"version": version, "file": f"baseline-{version}.onnx", "sha256": hashlib.sha256(content).hexdigest()}
    (folder / f"baseline-{version}.json").write_text(json.dumps(fields | manifest))


def test_real_samples_score_as_the_reference_while_it_learns(scorer: OnnxScorer) -> None:
    parameters, usual = fitted().parameters, Usual()
    for vector in vectors(SAMPLES_LEAST + 60):
        expected = score(parameters, vector, *centre_and_scale(usual, parameters.prior))
        found = scorer.score(vector, learn=True)
        assert found is not None
        assert found.score == pytest.approx(expected.score, rel=1e-4, abs=1e-6)
        assert found.p_value == pytest.approx(expected.p_value, rel=1e-3)
        usual = learn(usual, parameters.prior, vector)


def test_the_surest_five_are_named_with_value_and_usual_in_their_own_units(scorer: OnnxScorer) -> None:
    place = FEATURES.index("memory.available")
    vector = list(prior_centre())
    vector[place] -= 9.0
    found = scorer.score(tuple(vector), learn=False)
    assert found is not None
    assert len(found.attributions) == ATTRIBUTIONS_MAX
    first = found.attributions[0]
    assert first.feature == "memory.available"
    assert first.value == pytest.approx(natural("memory.available", vector[place]))
    assert first.usual == pytest.approx(natural("memory.available", prior_centre()[place]))
    shares = [one.share for one in found.attributions]
    assert shares == sorted(shares, reverse=True)
    assert 0.0 < sum(shares) <= 1.0 + 1e-6


def test_what_is_missing_is_never_named(scorer: OnnxScorer) -> None:
    vector = [nan if i % 2 else 90.0 for i in range(len(FEATURES))]
    found = scorer.score(tuple(vector), learn=False)
    assert found is not None
    assert all(isfinite(one.value) for one in found.attributions)


def test_too_little_measured_gives_no_score_at_the_bound(scorer: OnnxScorer) -> None:
    enough = [1.0] * PRESENT_LEAST + [nan] * (len(FEATURES) - PRESENT_LEAST)
    assert scorer.score(tuple(enough), learn=False) is not None
    assert scorer.score((nan, *enough[1:]), learn=False) is None


@pytest.mark.parametrize("wild", [inf, -inf, 1e308, -1e308, 1e39, 5e-324])
def test_wild_numbers_give_a_score_and_leave_the_state_sound(scorer: OnnxScorer, wild: float) -> None:
    for place in (0, 13):
        vector = list(prior_centre())
        vector[place] = wild
        found = scorer.score(tuple(vector), learn=True)
        assert found is not None
        assert isfinite(found.score)
        assert 0.0 < found.p_value <= 1.0
        assert all(isfinite(one.value) and isfinite(one.usual) for one in found.attributions)
    after = scorer.score(prior_centre(), learn=True)
    assert after is not None
    assert after.p_value > 0.5


def test_it_learns_what_is_usual_here(scorer: OnnxScorer) -> None:
    prior = fitted().parameters.prior
    here = tuple(centre + 1.5 * scale for centre, scale in zip(prior.centre, prior.scale, strict=True))
    before = scorer.score(here, learn=False)
    for _ in range(SAMPLES_LEAST):
        scorer.score(here, learn=True)
    after = scorer.score(here, learn=False)
    assert before is not None
    assert after is not None
    assert after.p_value > before.p_value
    assert after.score < 0.01


def test_it_does_not_learn_while_told_not_to(scorer: OnnxScorer) -> None:
    here = tuple(vectors(1)[0])
    before = scorer.score(here, learn=False)
    for _ in range(SAMPLES_LEAST + 1):
        scorer.score(here, learn=False)
    assert scorer.score(here, learn=False) == before


def test_what_was_learnt_survives_a_restart(library: OnnxLibrary, folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "usual.json"
    first, _ = OnnxScorer.open(folder, state, library)
    for vector in vectors(SAMPLES_LEAST + 10):
        first.score(vector, learn=True)
    expected = first.score(vectors(1)[0], learn=False)
    first.save()
    first.close()
    second, notices = OnnxScorer.open(folder, state, library)
    assert notices == ()
    assert second.score(vectors(1)[0], learn=False) == expected
    second.close()


def test_saving_without_news_writes_nothing(scorer: OnnxScorer, tmp_path: Path) -> None:
    scorer.save()
    assert not (tmp_path / "usual.json").exists()
    scorer.score(vectors(1)[0], learn=True)
    scorer.save()
    assert (tmp_path / "usual.json").exists()


def test_a_state_over_other_features_is_dropped_loudly(library: OnnxLibrary, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "usual.json").write_text(
        json.dumps({"format": 1, "feature_set_version": 99, "features": ["a"], "usual": []})
    )
    scorer, (notice,) = OnnxScorer.open(folder, tmp_path / "usual.json", library)
    assert notice.code == "usual-dropped"
    assert "feature set 99" in notice.sentence
    scorer.close()


def test_the_newest_model_is_taken(library: OnnxLibrary, folder: Path, tmp_path: Path) -> None:
    repackaged(folder, 12)
    scorer, notices = OnnxScorer.open(folder, tmp_path / "usual.json", library)
    assert (scorer.model, notices) == ("baseline-12", ())
    scorer.close()


@pytest.mark.parametrize(
    ("metadata", "manifest", "said"),
    [
        ({}, {"feature_set_version": 99}, "made for feature set 99"),
        ({}, {"features": list(FEATURES[::-1])}, "its feature 0 is"),
        ({}, {"sha256": "0" * 64}, "has the digest"),
        ({"feature_set_version": "99"}, {}, "feature_set_version is '99'"),
        ({"version": "3"}, {}, "version is '3', not '2'"),
        ({"model": "other"}, {}, "model is 'other'"),
        ({"features": "[]"}, {}, "it has 0 features"),
        ({"features": ""}, {}, "does not name its features"),
        ({"prior": "{}"}, {}, "prior is missing or damaged"),
        ({"prior": '{"centre":[0],"scale":[1],"floor":[1]}'}, {}, "not one number per feature"),
        ({"probe": ""}, {}, "probe is missing or damaged"),
        (
            {"probe": json.dumps({"features": [0.0] * len(FEATURES), "score": 0.5, "p_value": 2.0})},
            {},
            "its probe gives",
        ),
        ({"probe": probe(1)}, {}, "probe is missing or damaged"),
    ],
)
def test_a_newer_model_that_does_not_fit_is_passed_over_with_the_reason(
    library: OnnxLibrary, folder: Path, metadata: dict[str, str], manifest: dict[str, Any], said: str
) -> None:
    repackaged(folder, 2, metadata, **manifest)
    scorer, (notice,) = OnnxScorer.open(folder, folder / "usual.state", library)
    assert scorer.model == "baseline-1"
    assert notice == Notice("model-refused", notice.sentence)
    assert said in notice.sentence
    assert "baseline-2.json" in notice.sentence
    scorer.close()


def test_a_prior_without_width_is_refused(library: OnnxLibrary, folder: Path, tmp_path: Path) -> None:
    flat = [0.0] * len(FEATURES)
    repackaged(folder, 2, {"prior": json.dumps({"centre": flat, "scale": flat, "floor": flat})})
    scorer, (notice,) = OnnxScorer.open(folder, tmp_path / "usual.json", library)
    assert "not above 0" in notice.sentence
    scorer.close()


def test_without_a_model_that_fits_every_reason_is_given(library: OnnxLibrary, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "baseline-1.json", folder / "copy.json")
    (folder / "baseline-1.onnx").write_bytes(b"other bytes")
    with pytest.raises(ModelRefused, match=r"(?s)baseline-1\.json.*copy\.json"):
        OnnxScorer.open(folder, tmp_path / "usual.json", library)


def test_bytes_that_are_no_model_are_refused(library: OnnxLibrary, folder: Path, tmp_path: Path) -> None:
    fields = json.loads((folder / "baseline-1.json").read_text())
    (folder / "baseline-1.onnx").write_bytes(b"no model")
    fields["sha256"] = hashlib.sha256(b"no model").hexdigest()
    (folder / "baseline-1.json").write_text(json.dumps(fields))
    with pytest.raises(ModelRefused, match="CreateSessionFromArray"):
        OnnxScorer.open(folder, tmp_path / "usual.json", library)


def test_an_empty_folder_is_refused(library: OnnxLibrary, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="holds no model manifest"):
        OnnxScorer.open(tmp_path, tmp_path / "usual.json", library)
