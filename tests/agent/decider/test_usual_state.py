"""What was learnt survives a restart, whole or not at all, and never for other features."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.adaptation import SAMPLES_REMEMBERED, Running, Usual
from homeostat.features import FEATURES
from homeostat_agent.decider import usual_state

LEARNT = Usual(tuple(Running(i + 1, i * 0.1, i * 1e-3) for i in range(len(FEATURES))))


def changed(path: Path, **fields: Any) -> None:
    usual_state.save(path, LEARNT)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_was_saved_is_loaded_exactly(tmp_path: Path) -> None:
    path = tmp_path / "usual.json"
    usual_state.save(path, LEARNT)
    assert usual_state.load(path) == (LEARNT, "")


def test_nothing_learnt_yet_is_a_state_too(tmp_path: Path) -> None:
    path = tmp_path / "usual.json"
    assert usual_state.load(path) == (Usual(), "")
    usual_state.save(path, Usual())
    assert usual_state.load(path) == (Usual(), "")


def test_saving_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "usual.json"
    usual_state.save(path, Usual())
    usual_state.save(path, LEARNT)
    assert usual_state.load(path)[0] == LEARNT
    assert [one.name for one in tmp_path.iterdir()] == ["usual.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_crash_while_writing_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "usual.json"
    usual_state.save(path, LEARNT)
    (tmp_path / "usual.json.new").write_bytes(b'{"form')
    assert usual_state.load(path) == (LEARNT, "")
    usual_state.save(path, Usual())
    assert usual_state.load(path) == (Usual(), "")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"feature_set_version": 99}, "learnt over feature set 99"),
        ({"features": list(reversed(FEATURES))}, "learnt over feature set"),
        ({"format": 9}, "of format 9"),
        ({"usual": [[1, 0.0, 0.0]]}, "is damaged"),
        ({"usual": [[1, 0.0]] * len(FEATURES)}, "is damaged"),
        ({"usual": [[-1, 0.0, 0.0]] * len(FEATURES)}, "is damaged"),
        ({"usual": [[SAMPLES_REMEMBERED + 1, 0.0, 0.0]] * len(FEATURES)}, "is damaged"),
        ({"usual": [[1, 0.0, -1.0]] * len(FEATURES)}, "is damaged"),
        ({"usual": [[1, float("nan"), 1.0]] * len(FEATURES)}, "is damaged"),
        ({"usual": [["1", "0", "1"]] * len(FEATURES)}, "is damaged"),
        ({"usual": None}, "is damaged"),
        ({"features": 7}, "is damaged"),
    ],
)
def test_a_state_that_does_not_fit_is_dropped(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    path = tmp_path / "usual.json"
    changed(path, **fields)
    usual, reason = usual_state.load(path)
    assert usual == Usual()
    assert said in reason


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 50_000, b" " * (usual_state.STATE_BYTES_MAX + 1)]
)
def test_a_damaged_file_is_dropped(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "usual.json"
    path.write_bytes(body)
    usual, reason = usual_state.load(path)
    assert (usual, bool(reason)) == (Usual(), True)


def test_a_folder_in_its_place_is_dropped_and_cannot_be_saved_over(tmp_path: Path) -> None:
    assert usual_state.load(tmp_path)[1] != ""
    with pytest.raises(OSError, match="directory"):
        usual_state.save(tmp_path, LEARNT)
