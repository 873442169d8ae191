import subprocess
import sys
from pathlib import Path

import pytest

from homeostat_controller.demo import faults, sitecheck


def check(file: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", sitecheck.__name__, str(file)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_valid_file_passes(tmp_path: Path) -> None:
    file = tmp_path / "site.json"
    file.write_text(faults.GOOD_SITE)
    assert check(file).returncode == 0


@pytest.mark.parametrize(("text", "said"), [('{"greeting"', "site.json:"), ("{}", "greeting"), ("[]", "greeting")])
def test_an_invalid_one_is_named_with_its_mistake(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "site.json"
    file.write_text(text)
    found = check(file)
    assert found.returncode == 1
    assert said in found.stdout


def test_a_missing_one_too(tmp_path: Path) -> None:
    assert check(tmp_path / "site.json").returncode == 1
