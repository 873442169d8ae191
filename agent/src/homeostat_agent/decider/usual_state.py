"""What is usual for this endpoint, kept over restarts in one small JSON file.

One invariant: the file is whole or absent, never half (it is replaced in one step), and a state that was learnt over
other features than today's is never used: a mean of something else is worse than no mean.
"""

import json
import os
from math import isfinite
from pathlib import Path
from typing import Any

from homeostat.adaptation import SAMPLES_REMEMBERED, Running, Usual
from homeostat.features import FEATURE_SET_VERSION, FEATURES

STATE_FORMAT = 1
STATE_BYTES_MAX = 256 << 10


def load(path: Path) -> tuple[Usual, str]:
    """Return the kept state and why it was dropped: an empty text when it was not, or when there was none yet."""
    try:
        with path.open("rb") as file:
            body = file.read(STATE_BYTES_MAX + 1)
    except FileNotFoundError:
        return Usual(), ""
    except OSError as error:
        return Usual(), f"{path} cannot be read: {error.strerror}"
    if len(body) > STATE_BYTES_MAX:
        return Usual(), f"{path} is larger than {STATE_BYTES_MAX} bytes"
    try:
        return _usual(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return Usual(), f"{path} is damaged"


def save(path: Path, usual: Usual) -> None:
    """Replace the kept state in one step; OSError as the file system gives it."""
    fields = {
        "format": STATE_FORMAT,
        "feature_set_version": FEATURE_SET_VERSION,
        "features": FEATURES,
        "usual": [[one.count, one.mean, one.variance] for one in usual.features],
    }
    body = json.dumps(fields, allow_nan=False).encode()
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _usual(fields: dict[str, Any]) -> tuple[Usual, str]:
    if fields["format"] != STATE_FORMAT:
        return Usual(), f"the state is of format {fields['format']!r}, not {STATE_FORMAT}"
    version, features = fields["feature_set_version"], tuple(fields["features"])
    if version != FEATURE_SET_VERSION or features != FEATURES:
        return Usual(), f"it was learnt over feature set {version!r}; this agent extracts {FEATURE_SET_VERSION}"
    kept = tuple(_running(*one) for one in fields["usual"])
    if len(kept) not in (0, len(FEATURES)):
        raise ValueError("not one entry per feature")
    return Usual(kept), ""


def _running(count: int, mean: float, variance: float) -> Running:
    if not 0 <= count <= SAMPLES_REMEMBERED or not isfinite(mean) or not isfinite(variance) or variance < 0:
        raise ValueError("no possible state")
    return Running(int(count), float(mean), float(variance))
