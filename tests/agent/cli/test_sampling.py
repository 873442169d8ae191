import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from homeostat.sample import METRICS

AGENT = str(Path(sys.executable).with_name("homeostat-agent"))


def sample(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "agent.toml"
    config.write_text("")
    argv = [AGENT, "sample", "--config", str(config), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_samples_are_json_lines_of_known_metrics(tmp_path: Path) -> None:
    said = sample(tmp_path, "--count", "2", "--period", "0.2")
    assert said.returncode == 0, said.stderr
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert len(rows) == 2
    assert datetime.fromisoformat(rows[0]["at"]) < datetime.fromisoformat(rows[1]["at"])
    assert "cpu.busy" in rows[0]["values"]
    assert set(rows[0]["values"]) <= set(METRICS)


def test_a_count_out_of_range_is_a_mistake_of_use(tmp_path: Path) -> None:
    said = sample(tmp_path, "--count", "0")
    assert said.returncode == 2
    assert "--count" in said.stderr
