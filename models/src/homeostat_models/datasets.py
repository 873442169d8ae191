"""Recordings on disk: one JSON sample a line, as `homeostat-agent sample` prints them, plain or gzipped.

A recording is one unbroken stretch of one machine's time. Its file's name says what it shows: `normal-NAME.jsonl.gz`
or `fault-NAME.jsonl.gz`. One invariant: what is read was checked against the domain's Sample, and what is written is
the same bytes for the same samples.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from homeostat.features import FEATURES, extract
from homeostat.sample import Sample, Window

Floats = npt.NDArray[np.float64]
Vectors = Floats  # one row a sample, one column a feature; NaN where a metric is missing

SAMPLES_MAX = 200_000  # per recording: at 5 s, eleven days
LINE_BYTES_MAX = 16_384
# Numbers are kept to this many significant digits: no sensor here is better, and the file stays small.
_DIGITS = 6
_WINDOW = 60  # samples that features may look back over
_SUFFIXES = (".jsonl", ".jsonl.gz")


class SupportsReadline(Protocol):
    """A stream of bytes, such as a file or a pipe."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line, or its first `size` bytes; nothing at the end."""


class ModelsError(Exception):
    """What was asked cannot be done; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One stretch of samples; `fault` is empty for a normal one, else what was wrong."""

    name: str
    fault: str
    samples: tuple[Sample, ...]

    def vectors(self) -> Vectors:
        """Return the feature vectors, one row a sample."""
        window, rows = Window(_WINDOW), []
        for sample in self.samples:
            window = window.add(sample)
            rows.append(extract(window))
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def load(folder: Path) -> tuple[Recording, ...]:
    """Read every recording of a folder, in order of name.

    Raises ModelsError naming file and line of what is wrong, or when there is none.
    """
    paths = sorted(path for path in folder.glob("*") if path.name.endswith(_SUFFIXES))
    if not paths:
        raise ModelsError(f"{folder}: holds no recording (*.jsonl or *.jsonl.gz); `homeostat-models record` makes one")
    return tuple(_read(path) for path in paths)


def parse(stream: SupportsReadline, where: str) -> Iterator[Sample]:
    """Yield the samples of a stream of JSON lines, at most SAMPLES_MAX; blank lines are skipped.

    Raises ModelsError with `where` and the number of the first bad line. Times must rise.
    """
    last: Sample | None = None
    found = 0
    for number, line in enumerate(iter(lambda: stream.readline(LINE_BYTES_MAX + 1), b""), 1):
        if not line.strip():
            continue
        sample = _sample(line, f"{where}, line {number}")
        found += 1
        if found > SAMPLES_MAX:
            raise ModelsError(f"{where}, line {number}: more than {SAMPLES_MAX} samples; split the recording")
        if last is not None and sample.at <= last.at:
            raise ModelsError(f"{where}, line {number}: its time is not after the line's before it")
        last = sample
        yield sample


def write(path: Path, samples: Iterable[Sample]) -> int:
    """Write a recording, gzipped if its name ends in .gz, and return how many samples it holds.

    Raises ModelsError when the name does not say what the recording shows, or the file cannot be written.
    """
    _shown(path)
    lines = [_line(sample) for sample in samples]
    body = "".join(lines).encode()
    try:
        # No name and no time in the header: same samples, same bytes.
        path.write_bytes(gzip.compress(body, mtime=0) if path.suffix == ".gz" else body)
    except OSError as error:
        raise ModelsError(f"{path}: cannot be written: {error.strerror}") from error
    return len(lines)


def _read(path: Path) -> Recording:
    name, fault = _shown(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            return Recording(name, fault, tuple(parse(stream, str(path))))
    except (OSError, EOFError) as error:
        raise ModelsError(f"{path}: cannot be read: {error}") from error


def _shown(path: Path) -> tuple[str, str]:
    kind, _, name = path.name.partition("-")
    stem = name.removesuffix(".gz").removesuffix(".jsonl")
    if kind not in ("normal", "fault") or not stem or not path.name.endswith(_SUFFIXES):
        raise ModelsError(f"{path}: a recording is called normal-NAME.jsonl[.gz] or fault-NAME.jsonl[.gz]")
    return f"{kind}-{stem}", stem if kind == "fault" else ""


def _sample(line: bytes, where: str) -> Sample:
    if len(line) > LINE_BYTES_MAX:
        raise ModelsError(f"{where}: longer than {LINE_BYTES_MAX} bytes")
    try:
        found = json.loads(line)
        at, values = datetime.fromisoformat(found["at"]), found["values"]
        if at.tzinfo is None:
            raise ModelsError(f"{where}: `at` has no time zone")
        return Sample(at.astimezone(UTC), _numbers(values, where))
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelsError(f'{where}: is not {{"at": TIME, "values": {{NAME: NUMBER}}}}') from error
    except ValueError as error:
        raise ModelsError(f"{where}: {error}") from error


def _numbers(values: Mapping[str, object], where: str) -> dict[str, float]:
    wrong = [name for name, value in values.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong:
        raise ModelsError(f"{where}: {wrong[0]} is not a number")
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _line(sample: Sample) -> str:
    values = {name: float(f"{value:.{_DIGITS}g}") for name, value in sorted(sample.values.items())}
    at = sample.at.isoformat(timespec="milliseconds")
    return json.dumps({"at": at, "values": values}, separators=(",", ":"), allow_nan=False) + "\n"
