"""The command line, run as people run it: a process, its output and its exit code."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_web import Web

PROGRAM = Path(sys.executable).with_name("homeostat")
COMMAND_S_MAX = 60
Done = subprocess.CompletedProcess[str]
Homeostat = Callable[..., Done]


@pytest.fixture
def homeostat(tmp_path: Path) -> Homeostat:
    """Run `homeostat …`; with `at`, against that controller's data folder."""

    def run(*arguments: str, at: Web | None = None, said: str = "", **environment: str) -> Done:
        own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        if at is not None:
            own["HOMEOSTAT_DATA_DIR"] = str(at.data_dir)
        return subprocess.run(
            [str(PROGRAM), *arguments],
            env={**own, **environment},
            cwd=tmp_path,
            input=said,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )

    return run
