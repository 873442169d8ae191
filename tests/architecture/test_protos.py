"""The breaking check really breaks."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")


def breaking(changed: Path) -> subprocess.CompletedProcess[str]:
    argv = [str(BUF), "breaking", str(changed), "--against", str(ROOT / "protos")]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_field_of_another_type_is_refused(tmp_path: Path) -> None:
    changed = shutil.copytree(ROOT / "protos", tmp_path / "protos")
    file = changed / "homeostat" / "wire" / "v1" / "policy.proto"
    text = file.read_text()
    assert "uint64 revision = 2;" in text
    file.write_text(text.replace("uint64 revision = 2;", "string revision = 2;", 1))
    found = breaking(changed)
    assert found.returncode != 0
    assert "revision" in found.stdout + found.stderr


def test_a_new_field_is_allowed(tmp_path: Path) -> None:
    changed = shutil.copytree(ROOT / "protos", tmp_path / "protos")
    file = changed / "homeostat" / "wire" / "v1" / "policy.proto"
    text = file.read_text()
    file.write_text(text.replace("string description = 13;", "string description = 13;\n  string hint = 900;", 1))
    assert breaking(changed).returncode == 0
