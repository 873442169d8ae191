"""A model's two files: complete, tied by a digest, the same bytes from the same recordings."""

import hashlib
import json
from pathlib import Path

import pytest

from fakes.built_model import DATA, built, recordings
from homeostat.features import FEATURE_SET_VERSION, FEATURES
from homeostat_models import datasets, packaging
from homeostat_models.datasets import ModelsError

DATA_BYTES_MAX = 400_000


def test_the_manifest_names_the_file_by_its_digest(tmp_path: Path) -> None:
    model, manifest = packaging.write(built(), tmp_path)
    said = json.loads(manifest.read_text())
    assert (model.name, manifest.name) == ("baseline-1.onnx", "baseline-1.json")
    assert said["file"] == model.name
    assert said["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert said["bytes"] == model.stat().st_size


def test_the_manifest_says_for_which_features_and_what_it_is_worth() -> None:
    said = built().manifest
    assert (said["feature_set_version"], said["features"]) == (FEATURE_SET_VERSION, list(FEATURES))
    assert said["metrics"]["normal"] > 0
    assert said["calibration"]["samples"] > 0
    assert set(said["training"]["recordings"]) == {one.name for one in recordings()}


def test_the_same_recordings_make_the_same_bytes(tmp_path: Path) -> None:
    again = packaging.package(datasets.load(DATA))
    for made, folder in ((built(), tmp_path / "a"), (again, tmp_path / "b")):
        packaging.write(made, folder)
    for name in ("baseline-1.onnx", "baseline-1.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nothing_of_this_machine_or_moment_is_in_the_files() -> None:
    text = json.dumps(built().manifest)
    assert str(DATA) not in text
    assert "202" not in json.dumps(built().manifest["model"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelsError, match="cannot be written"):
        packaging.write(built(), tmp_path / "file")


def test_the_committed_recordings_stay_small() -> None:
    assert sum(path.stat().st_size for path in DATA.glob("*.jsonl*")) < DATA_BYTES_MAX
