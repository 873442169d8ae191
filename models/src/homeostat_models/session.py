"""A built model run by onnxruntime, as an agent would, for evaluation and for holding the graph to its reference."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from homeostat.adaptation import Prior
from homeostat.features import FEATURE_SET_VERSION, FEATURES
from homeostat_models.datasets import ModelsError
from homeostat_models.reference import Result, float32s


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model; `prior` is what its metadata says."""

    session: onnxruntime.InferenceSession
    prior: Prior

    def score(self, features: Sequence[float], centre: Sequence[float], scale: Sequence[float]) -> Result:
        """Score one vector; see reference.score."""
        named = {"features": features, "centre": centre, "scale": scale}
        feed = {name: float32s(values) for name, values in named.items()}
        score, p_value, share = self.session.run(["score", "p_value", "share"], feed)
        return Result(float(score[0]), float(p_value[0]), share)


def load(model: bytes, where: str) -> Model:
    """Load a model from memory.

    Raises ModelsError naming `where` when it is no model, or one for another feature set.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the binding's errors have no class in common but this one
        raise ModelsError(f"{where}: onnxruntime refuses it: {error}") from error
    described = session.get_modelmeta().custom_metadata_map
    if described.get("feature_set_version") != str(FEATURE_SET_VERSION):
        found = described.get("feature_set_version", "none")
        raise ModelsError(f"{where}: is for feature set {found}, not {FEATURE_SET_VERSION}")
    if json.loads(described["features"]) != list(FEATURES):
        raise ModelsError(f"{where}: its features are not those of feature set {FEATURE_SET_VERSION}")
    prior = json.loads(described["prior"])
    return Model(session, Prior(*(tuple(prior[name]) for name in ("centre", "scale", "floor"))))


def opened(path: Path) -> Model:
    """Load the model of a file; see load."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelsError(f"{path}: cannot be read: {error.strerror}") from error
    return load(content, str(path))
