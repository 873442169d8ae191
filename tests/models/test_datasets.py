"""Recordings are checked as they are read, and written the same way every time."""

import gzip
import io
import json
import math
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.recordings import START, samples
from homeostat.features import FEATURES
from homeostat.sample import Sample
from homeostat_models import datasets
from homeostat_models.datasets import ModelsError

GOOD = b'{"at":"2026-01-01T00:00:00+00:00","values":{"cpu.busy":1.5}}\n'


def parsed(*lines: bytes) -> list[Sample]:
    return list(datasets.parse(io.BytesIO(b"".join(lines)), "in"))


@pytest.mark.parametrize("name", ["normal-a.jsonl", "normal-a.jsonl.gz"])
def test_what_was_written_is_read_again(tmp_path: Path, name: str) -> None:
    written = [Sample(START + timedelta(seconds=i), {"cpu.busy": 12.5 * i}) for i in range(5)]
    assert datasets.write(tmp_path / name, written) == 5
    (recording,) = datasets.load(tmp_path)
    assert (recording.name, recording.fault, list(recording.samples)) == ("normal-a", "", written)


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("normal-a.jsonl.gz", "normal-b.jsonl.gz"):
        datasets.write(tmp_path / name, samples(50))
    assert (tmp_path / "normal-a.jsonl.gz").read_bytes() == (tmp_path / "normal-b.jsonl.gz").read_bytes()


def test_a_fault_is_named_by_its_file(tmp_path: Path) -> None:
    datasets.write(tmp_path / "fault-disk-fill.jsonl", samples(2))
    assert datasets.load(tmp_path)[0].fault == "disk-fill"


def test_vectors_have_a_row_per_sample_and_nan_where_nothing_was_measured(tmp_path: Path) -> None:
    datasets.write(tmp_path / "normal-a.jsonl", parsed(GOOD))
    vectors = datasets.load(tmp_path)[0].vectors()
    assert vectors.shape == (1, len(FEATURES))
    assert vectors[0, FEATURES.index("cpu.busy")] == 1.5
    assert math.isnan(vectors[0, FEATURES.index("load.1m")])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "in, line 2: Expecting"),
        (b"[]", "in, line 2: is not"),
        (b'{"at":"2026-01-01T00:00:05+00:00"}', "in, line 2: is not"),
        (b'{"at":"yesterday","values":{}}', "in, line 2: Invalid isoformat"),
        (b'{"at":"2026-01-01T00:00:05","values":{}}', "no time zone"),
        (b'{"at":"2026-01-01T00:00:05+00:00","values":{"cpu.bus":1}}', "not a metric: cpu.bus"),
        (b'{"at":"2026-01-01T00:00:05+00:00","values":{"cpu.busy":NaN}}', "finite numbers only"),
        (b'{"at":"2026-01-01T00:00:05+00:00","values":{"cpu.busy":"1"}}', "cpu.busy is not a number"),
        (b'{"at":"2026-01-01T00:00:05+00:00","values":{"cpu.busy":true}}', "cpu.busy is not a number"),
        (b'{"at":"2026-01-01T00:00:00+00:00","values":{}}', "not after"),
        (b"\xff", "in, line 2"),
        (b" " * (datasets.LINE_BYTES_MAX - 1) + b"x\n", f"longer than {datasets.LINE_BYTES_MAX} bytes"),
    ],
)
def test_a_bad_line_is_named(line: bytes, said: str) -> None:
    with pytest.raises(ModelsError, match=said):
        parsed(GOOD, line)


def test_a_line_of_the_greatest_length_is_read() -> None:
    line = GOOD.strip()
    padded = line + b" " * (datasets.LINE_BYTES_MAX - len(line) - 1) + b"\n"
    assert len(parsed(padded, b"\n")) == 1


def test_too_many_samples_are_refused_at_the_bound() -> None:
    at = (START + timedelta(seconds=i) for i in range(datasets.SAMPLES_MAX + 1))
    stream = io.BytesIO(b"".join(b'{"at":"%b","values":{}}\n' % one.isoformat().encode() for one in at))
    found = datasets.parse(stream, "in")
    for _ in range(datasets.SAMPLES_MAX):
        next(found)
    with pytest.raises(ModelsError, match=f"line {datasets.SAMPLES_MAX + 1}: more than"):
        next(found)


@pytest.mark.parametrize("name", ["a.jsonl", "normal-.jsonl", "odd-a.jsonl", "normal-a.csv"])
def test_a_name_that_says_nothing_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelsError, match="a recording is called"):
        datasets.write(tmp_path / name, samples(1))


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match="holds no recording"):
        datasets.load(tmp_path)


def test_a_torn_file_is_refused_by_name(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD * 1)
    (tmp_path / "normal-a.jsonl.gz").write_bytes(whole[:-4])
    with pytest.raises(ModelsError, match=r"normal-a\.jsonl\.gz: cannot be read"):
        datasets.load(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match="cannot be written"):
        datasets.write(tmp_path / "absent" / "normal-a.jsonl", samples(1))


def test_numbers_are_kept_to_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "normal-a.jsonl"
    datasets.write(path, [Sample(START, {"memory.available": 24834215936.0})])
    assert json.loads(path.read_text())["values"] == {"memory.available": 24834200000.0}
