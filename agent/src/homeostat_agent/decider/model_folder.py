"""The model folder: which models lie there, and which of them may be loaded.

A model is two files, NAME-VERSION.onnx and its manifest NAME-VERSION.json. One invariant: the bytes that are handed on
are the bytes whose digest was compared; nothing is read twice.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeostat.features import FEATURE_SET_VERSION, FEATURES

MANIFEST_FORMAT = 1
MANIFEST_BYTES_MAX = 64 << 10
MODEL_BYTES_MAX = 16 << 20
MANIFESTS_MAX = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


class ModelRefused(Exception):  # noqa: N818  # it is what happened, as people are told
    """No model, or not this one, may be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says of its model."""

    path: Path
    model: str
    version: int
    file: str
    sha256: str
    feature_set_version: int
    features: tuple[str, ...]

    @property
    def name(self) -> str:
        """The model's name and version, as evidence carries it."""
        return f"{self.model}-{self.version}"


def manifests(folder: Path) -> tuple[list[Manifest], list[str]]:
    """Return the folder's readable manifests, newest first, and why others were passed over.

    At most MANIFESTS_MAX files are looked at. Raises ModelRefused when the folder cannot be read.
    """
    try:
        paths = sorted(folder.glob("*.json"))
        if not folder.is_dir():
            raise ModelRefused(f"{folder}: is no folder")
    except OSError as error:
        raise ModelRefused(f"{folder}: cannot be read: {error.strerror}") from error
    found: list[Manifest] = []
    passed_over = [f"{folder}: holds more than {MANIFESTS_MAX} manifests"] if len(paths) > MANIFESTS_MAX else []
    for path in paths[:MANIFESTS_MAX]:
        try:
            found.append(_manifest(path))
        except ModelRefused as refused:
            passed_over.append(str(refused))
    return sorted(found, key=lambda one: (one.version, one.model), reverse=True), passed_over


def content(manifest: Manifest) -> bytes:
    """Return the model's bytes, once they are proved to be what the manifest names.

    Raises ModelRefused when they are not, or were made for other features than this agent extracts.
    """
    where = manifest.path
    if manifest.feature_set_version != FEATURE_SET_VERSION:
        made_for = manifest.feature_set_version
        raise ModelRefused(f"{where}: made for feature set {made_for}; this agent extracts {FEATURE_SET_VERSION}")
    check_features(manifest.features, str(where))
    body = _read(where.parent / manifest.file, MODEL_BYTES_MAX)
    found = hashlib.sha256(body).hexdigest()
    if found != manifest.sha256:
        raise ModelRefused(f"{where}: {manifest.file} has the digest {found[:16]}…, not {manifest.sha256[:16]}…")
    return body


def check_features(features: Sequence[str], where: str) -> None:
    """Raise ModelRefused, naming the first difference, unless these are the features that this agent extracts."""
    if tuple(features) == FEATURES:
        return
    for place, (theirs, ours) in enumerate(zip(features, FEATURES, strict=False)):
        if theirs != ours:
            raise ModelRefused(f"{where}: its feature {place} is {theirs!r}; this agent's is {ours!r}")
    raise ModelRefused(f"{where}: it has {len(features)} features; this agent extracts {len(FEATURES)}")


def _manifest(path: Path) -> Manifest:
    try:
        fields = json.loads(_read(path, MANIFEST_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{path}: is no JSON: {error}") from error
    if not isinstance(fields, dict) or fields.get("format") != MANIFEST_FORMAT:
        raise ModelRefused(f"{path}: is no model manifest of format {MANIFEST_FORMAT}")
    features = fields.get("features")
    if not isinstance(features, list) or not all(isinstance(one, str) for one in features):
        raise ModelRefused(f"{path}: features must be a list of texts")
    model, version = _field(path, fields, "model", str), _field(path, fields, "version", int)
    if not _NAME.fullmatch(model) or fields.get("file") != f"{model}-{version}.onnx":
        raise ModelRefused(f"{path}: file must be MODEL-VERSION.onnx, and the model's name plain")
    return Manifest(
        path=path,
        model=model,
        version=version,
        file=fields["file"],
        sha256=_field(path, fields, "sha256", str),
        feature_set_version=_field(path, fields, "feature_set_version", int),
        features=tuple(features),
    )


def _field(path: Path, fields: dict[str, Any], name: str, kind: type) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind) or isinstance(value, bool) or value == "":
        raise ModelRefused(f"{path}: {name} must be {'a text' if kind is str else 'a whole number'}")
    return value


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(bytes_max + 1)
    except OSError as error:
        raise ModelRefused(f"{path}: cannot be read: {error.strerror}") from error
    if len(body) > bytes_max:
        raise ModelRefused(f"{path}: is larger than {bytes_max} bytes")
    return body
