"""A file that is no model, or one for other features, is refused with the reason."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

from fakes.recordings import made_up
from homeostat_models import graph, session
from homeostat_models.datasets import ModelsError
from homeostat_models.training import fit


def with_metadata(**changed: str) -> bytes:
    built = onnx.load_model_from_string(graph.build(fit([made_up("normal-a", 400)]).parameters, "trial", 1))
    said = {one.key: one.value for one in built.metadata_props}
    helper.set_model_props(built, said | changed)
    return bytes(built.SerializeToString())


def test_a_model_file_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "trial.onnx").write_bytes(with_metadata())
    model = session.opened(tmp_path / "trial.onnx")
    assert 0.0 < model.score(model.prior.centre, model.prior.centre, model.prior.scale).p_value <= 1.0


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"absent\.onnx: cannot be read"):
        session.opened(tmp_path / "absent.onnx")


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(ModelsError, match="here: onnxruntime refuses it"):
        session.load(b"no model", "here")


def test_another_feature_set_is_refused() -> None:
    with pytest.raises(ModelsError, match="is for feature set 99"):
        session.load(with_metadata(feature_set_version="99"), "here")


def test_other_features_are_refused() -> None:
    with pytest.raises(ModelsError, match="its features are not those"):
        session.load(with_metadata(features='["cpu.busy"]'), "here")
