import subprocess
import sys
from pathlib import Path

from homeostat_controller.demo import faults

HOMEOSTAT = str(Path(sys.executable).with_name("homeostat"))


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [HOMEOSTAT, "demo", *arguments, "--folder", str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_fault_that_is_none_is_answered_with_those_that_are(tmp_path: Path) -> None:
    said = demo(tmp_path / "demo", "fault", "earthquake")
    assert said.returncode == 2
    assert all(name in said.stderr for name in faults.FAULTS)


def test_without_a_demo_there_is_nothing_to_break_or_show(tmp_path: Path) -> None:
    for arguments in (("fault", "crash"), ("status",)):
        said = demo(tmp_path / "demo", *arguments)
        assert said.returncode == 1
        assert "./demo starts one" in said.stderr


def test_stopping_what_is_not_there_is_no_mistake(tmp_path: Path) -> None:
    said = demo(tmp_path / "demo", "stop")
    assert said.returncode == 0
    assert not (tmp_path / "demo").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = demo(tmp_path / "file" / "demo", "up")
    assert said.returncode == 1
    assert "cannot be set up" in said.stderr
    assert "Traceback" not in said.stderr
