"""The graph computes what the reference states, names what it is, and is the same bytes each time."""

import json
from math import inf, nan

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from fakes.recordings import made_up
from homeostat.adaptation import Usual, centre_and_scale
from homeostat.features import FEATURE_SET_VERSION, FEATURES
from homeostat_models import graph, session
from homeostat_models.reference import Parameters, score
from homeostat_models.training import fit


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return fit([made_up("normal-a", 600)]).parameters


@pytest.fixture(scope="module")
def model(parameters: Parameters) -> session.Model:
    return session.load(graph.build(parameters, "trial", 7), "trial")


def same(parameters: Parameters, model: session.Model, vectors: npt.NDArray[np.float64]) -> None:
    centre, scale = centre_and_scale(Usual(), parameters.prior)
    for vector in vectors.tolist():
        expected, found = score(parameters, vector, centre, scale), model.score(vector, centre, scale)
        assert found.score == pytest.approx(expected.score, rel=1e-4, abs=1e-6)
        assert found.p_value == pytest.approx(expected.p_value, rel=1e-3)
        assert found.share == pytest.approx(expected.share, abs=1e-5)
        assert float(found.share.sum()) == pytest.approx(1.0, abs=1e-5)


def test_random_vectors_score_as_the_reference(parameters: Parameters, model: session.Model) -> None:
    random = np.random.default_rng(3)
    spread = np.array(parameters.prior.scale) * random.choice([0.01, 0.3, 3.0, 30.0], size=(400, 1))
    same(parameters, model, np.array(parameters.prior.centre) + spread * random.standard_normal((400, len(FEATURES))))


def test_vectors_with_holes_score_as_the_reference(parameters: Parameters, model: session.Model) -> None:
    random = np.random.default_rng(4)
    vectors = random.standard_normal((200, len(FEATURES))) * 20.0
    vectors[random.random(vectors.shape) < 0.4] = nan
    vectors[0, :] = nan
    vectors[1, 3] = inf
    vectors[2, 4] = -inf
    vectors[3, 5] = 1e300
    same(parameters, model, vectors)


def test_the_endpoints_own_state_goes_in_as_an_input(parameters: Parameters, model: session.Model) -> None:
    vector = [40.0] * len(FEATURES)
    before = model.score(vector, parameters.prior.centre, parameters.prior.scale)
    after = model.score(vector, vector, parameters.prior.scale)
    assert after.p_value > before.p_value
    assert after.score == 0.0


def test_the_model_says_what_it_is(parameters: Parameters) -> None:
    built = onnx.load_model_from_string(graph.build(parameters, "trial", 7))
    said = {one.key: one.value for one in built.metadata_props}
    assert (said["model"], said["version"]) == ("trial", "7")
    assert said["feature_set_version"] == str(FEATURE_SET_VERSION)
    assert tuple(json.loads(said["features"])) == FEATURES
    assert json.loads(said["operators"]) == sorted({node.op_type for node in built.graph.node})
    assert json.loads(said["prior"]) == {
        "centre": list(parameters.prior.centre),
        "scale": list(parameters.prior.scale),
        "floor": list(parameters.prior.floor),
    }
    assert [(one.domain, one.version) for one in built.opset_import] == [("", graph.OPSET)]


def test_the_probe_is_a_vector_with_its_answer(parameters: Parameters, model: session.Model) -> None:
    built = onnx.load_model_from_string(graph.build(parameters, "trial", 7))
    probe = json.loads(next(one.value for one in built.metadata_props if one.key == "probe"))
    found = model.score(probe["features"], parameters.prior.centre, parameters.prior.scale)
    assert (found.score, found.p_value) == pytest.approx((probe["score"], probe["p_value"]), rel=1e-4)


def test_the_same_parameters_make_the_same_bytes() -> None:
    first, second = (graph.build(fit([made_up("normal-a", 600)]).parameters, "trial", 1) for _ in range(2))
    assert first == second
