"""The command line: three commands, exit codes, and errors that say what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.recordings import samples
from homeostat_models import cli, datasets

LINES = b"".join(
    json.dumps({"at": one.at.isoformat(), "values": dict(one.values)}).encode() + b"\n" for one in samples(40)
)


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "homeostat_models.cli", *arguments], input=stdin, capture_output=True, check=False
    )


def test_record_keeps_what_comes_in_on_standard_input(tmp_path: Path) -> None:
    done = run("record", "--out", str(tmp_path / "normal-a.jsonl.gz"), stdin=LINES)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"40 samples" in done.stdout
    assert len(datasets.load(tmp_path)[0].samples) == 40


def test_record_stops_after_so_many_seconds_of_samples(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(LINES)
    out = tmp_path / "normal-a.jsonl"
    assert cli.main(["record", "--seconds", "10", "--from", str(tmp_path / "in"), "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 6


def test_record_of_nothing_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").write_bytes(b"")
    out = tmp_path / "normal-a.jsonl"
    assert cli.main(["record", "--from", str(tmp_path / "in"), "--out", str(out)]) == 1
    assert "holds no sample" in capsys.readouterr().err
    assert not out.exists()


def test_a_bad_line_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    done = run("record", "--out", str(tmp_path / "normal-a.jsonl"), stdin=b"{}\n")
    assert done.returncode == 1
    assert done.stderr.startswith(b"homeostat-models: standard input, line 1: is not")
    assert b"Traceback" not in done.stderr


def test_build_and_evaluate_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    datasets.write(data / "normal-a.jsonl.gz", samples(600))
    datasets.write(data / "fault-busy.jsonl", samples(20, 2, burst=70.0))
    assert cli.main(["build", "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    model, manifest = capsys.readouterr().out.split()
    arguments = ["evaluate", "--data", str(data), "--model", model]
    assert cli.main(arguments) == 0
    assert "150 normal samples kept back" in capsys.readouterr().out
    assert cli.main([*arguments, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path(manifest).read_text())["metrics"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "--data", "/absent", "--out", "out"], "/absent: holds no recording"),
        (["record", "--out", "x.jsonl", "--from", "/absent"], "/absent: cannot be read"),
    ],
)
def test_what_cannot_be_done_exits_1(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["grow"], ["record"], ["record", "--seconds", "0", "--out", "x"], ["record", "--seconds", "x", "--out", "x"]],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["record", "--help"], ["build", "--help"], ["evaluate", "--help"]])
def test_every_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 0
    assert "usage: homeostat-models" in capsys.readouterr().out
