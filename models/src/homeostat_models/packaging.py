"""A model's files: NAME-VERSION.onnx and NAME-VERSION.json, its manifest.

The manifest names the file by its digest, so an agent that trusts the manifest knows every byte it will run. No time,
path or machine name goes in: the same recordings make the same two files.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from homeostat.features import FEATURE_SET_VERSION, FEATURES
from homeostat_models import graph
from homeostat_models.datasets import ModelsError, Recording
from homeostat_models.evaluation import evaluate
from homeostat_models.reference import Parameters, score
from homeostat_models.training import Fit, fit

MANIFEST_FORMAT = 1
NAME, VERSION = "baseline", 1


@dataclass(frozen=True, slots=True)
class Package:
    """The two files' content."""

    model: bytes
    manifest: dict[str, Any]

    @property
    def stem(self) -> str:
        """The files' name without its ending."""
        return f"{self.manifest['model']}-{self.manifest['version']}"


def package(recordings: tuple[Recording, ...]) -> Package:
    """Fit, evaluate and describe a model.

    Raises ModelsError when the recordings do not suffice.
    """
    fitted = fit(recordings)
    model = graph.build(fitted.parameters, NAME, VERSION)
    manifest = {
        "format": MANIFEST_FORMAT,
        "model": NAME,
        "version": VERSION,
        "file": f"{NAME}-{VERSION}.onnx",
        "sha256": hashlib.sha256(model).hexdigest(),
        "bytes": len(model),
        "feature_set_version": FEATURE_SET_VERSION,
        "features": list(FEATURES),
        "operators": list(graph.operators(model)),
        "calibration": _calibration(fitted.parameters),
        "training": _training(fitted, recordings),
        "metrics": _metrics(fitted, recordings),
    }
    return Package(model, manifest)


def write(made: Package, folder: Path) -> tuple[Path, Path]:
    """Write both files and return their paths; the manifest last, so that it never names what is not there.

    Raises ModelsError when the folder cannot be written.
    """
    model, manifest = folder / f"{made.stem}.onnx", folder / f"{made.stem}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        model.write_bytes(made.model)
        manifest.write_text(json.dumps(made.manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelsError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error
    return model, manifest


def _calibration(parameters: Parameters) -> dict[str, float]:
    calibration = parameters.calibration
    return {
        "samples": len(calibration.distances),
        "tail_start": _short(calibration.start),
        "tail_share": _short(calibration.share),
        "tail_fade": _short(calibration.fade),
        "alarm_distance": _short(calibration.alarm),
    }


def _training(fitted: Fit, recordings: tuple[Recording, ...]) -> dict[str, Any]:
    return {
        "samples_taught": fitted.samples_taught,
        "shrinkage": _short(fitted.shrinkage),
        "recordings": {one.name: len(one.samples) for one in recordings},
    }


def _metrics(fitted: Fit, recordings: tuple[Recording, ...]) -> dict[str, Any]:
    parameters = fitted.parameters
    return evaluate(partial(score, parameters), parameters.prior, fitted.usual, recordings).as_dict()


def _short(value: float) -> float:
    return float(f"{value:.5g}")
