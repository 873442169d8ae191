"""Which models may be loaded: newest first, bytes proved, and a reason for each that is passed over."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from homeostat.features import FEATURE_SET_VERSION, FEATURES
from homeostat_agent.decider import model_folder
from homeostat_agent.decider.model_folder import MANIFEST_BYTES_MAX, MANIFESTS_MAX, ModelRefused

CONTENT = b"the model"


def put(folder: Path, version: int = 1, changed: Mapping[str, Any] | None = None) -> Path:
    name = f"trial-{version}"
    (folder / f"{name}.onnx").write_bytes(CONTENT)
    fields: dict[str, Any] = {
        "format": 1,
        "model": "trial",
        "version": version,
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "feature_set_version": FEATURE_SET_VERSION,
        "features": list(FEATURES),
    }
    path = folder / f"{name}.json"
    path.write_text(
        json.dumps({key: value for key, value in (fields | dict(changed or {})).items() if value is not None})
    )
    return path


def test_the_newest_comes_first(tmp_path: Path) -> None:
    for version in (2, 10, 1):
        put(tmp_path, version)
    found, passed_over = model_folder.manifests(tmp_path)
    assert [one.name for one in found] == ["trial-10", "trial-2", "trial-1"]
    assert passed_over == []


def test_the_bytes_are_handed_on(tmp_path: Path) -> None:
    put(tmp_path)
    (manifest,), _ = model_folder.manifests(tmp_path)
    assert model_folder.content(manifest) == CONTENT


def test_an_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="is no folder"):
        model_folder.manifests(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": 2}, "no model manifest of format 1"),
        ({"format": None}, "no model manifest"),
        ({"model": None}, "model must be a text"),
        ({"model": ""}, "model must be a text"),
        ({"version": "1"}, "version must be a whole number"),
        ({"version": True}, "version must be a whole number"),
        ({"features": "cpu.busy"}, "features must be a list of texts"),
        ({"features": [1]}, "features must be a list of texts"),
        ({"file": "../trial-1.onnx"}, "file must be MODEL-VERSION.onnx"),
        ({"file": None}, "file must be MODEL-VERSION.onnx"),
        ({"model": "../../etc/x", "file": "../../etc/x-1.onnx"}, "the model's name plain"),
        ({"sha256": 5}, "sha256 must be a text"),
    ],
)
def test_a_manifest_that_says_too_little_is_passed_over(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    put(tmp_path, 1, changed)
    put(tmp_path, 2)
    found, (reason,) = model_folder.manifests(tmp_path)
    assert [one.version for one in found] == [2]
    assert said in reason
    assert "trial-1.json" in reason


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 50_000, b" " * (MANIFEST_BYTES_MAX + 1)])
def test_what_is_no_manifest_is_passed_over(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "odd.json").write_bytes(body)
    found, (reason,) = model_folder.manifests(tmp_path)
    assert found == []
    assert "odd.json" in reason


def test_only_so_many_manifests_are_looked_at(tmp_path: Path) -> None:
    for version in range(MANIFESTS_MAX):
        put(tmp_path, version)
    assert len(model_folder.manifests(tmp_path)[0]) == MANIFESTS_MAX
    put(tmp_path, MANIFESTS_MAX)
    found, (reason,) = model_folder.manifests(tmp_path)
    assert len(found) == MANIFESTS_MAX
    assert "more than" in reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"feature_set_version": 99}, f"made for feature set 99; this agent extracts {FEATURE_SET_VERSION}"),
        ({"features": list(FEATURES[:-1])}, f"it has {len(FEATURES) - 1} features"),
        ({"features": [FEATURES[1], FEATURES[0], *FEATURES[2:]]}, "its feature 0 is"),
        ({"sha256": "0" * 64}, "has the digest"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_name(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    put(tmp_path, 1, changed)
    (manifest,), _ = model_folder.manifests(tmp_path)
    with pytest.raises(ModelRefused, match=said):
        model_folder.content(manifest)


def test_a_manifest_without_its_model_is_refused(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "trial-1.onnx").unlink()
    (manifest,), _ = model_folder.manifests(tmp_path)
    with pytest.raises(ModelRefused, match=r"trial-1\.onnx: cannot be read"):
        model_folder.content(manifest)


def test_a_model_above_the_size_limit_is_refused(tmp_path: Path) -> None:
    body = b"x" * (model_folder.MODEL_BYTES_MAX + 1)
    put(tmp_path, 1, {"sha256": hashlib.sha256(body).hexdigest()})
    (tmp_path / "trial-1.onnx").write_bytes(body)
    (manifest,), _ = model_folder.manifests(tmp_path)
    with pytest.raises(ModelRefused, match="is larger than"):
        model_folder.content(manifest)
