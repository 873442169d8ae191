"""The real model, built from the committed recordings once per test run and process."""

from functools import lru_cache
from pathlib import Path

from homeostat_models import datasets, packaging
from homeostat_models.datasets import Recording
from homeostat_models.packaging import Package
from homeostat_models.training import Fit, fit

DATA = Path(__file__).parents[2] / "models" / "data"


@lru_cache(maxsize=1)
def recordings() -> tuple[Recording, ...]:
    return datasets.load(DATA)


@lru_cache(maxsize=1)
def fitted() -> Fit:
    return fit(recordings())


@lru_cache(maxsize=1)
def built() -> Package:
    return packaging.package(recordings())


def model_folder(into: Path) -> Path:
    """Write the model into a folder and return the folder."""
    packaging.write(built(), into)
    return into
