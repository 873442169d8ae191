"""The demo as a newcomer runs it: real agents, real faults, one pack left, and nothing left after the stop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMEOSTAT = str(Path(sys.executable).with_name("homeostat"))


def homeostat(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HOMEOSTAT, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False)


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name the demo's folder or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                argv = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(folder) in argv or where.startswith(str(folder)):
                found.append(argv)
    return found


@pytest.mark.timeout(400)
def test_the_demo_from_start_to_stop(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    models = str(ROOT / "build" / "models")
    options = ("--folder", str(folder), "--models", models)
    try:
        up = homeostat("demo", "up", *options, timeout_s=300)
        assert up.returncode == 0, up.stdout + up.stderr
        data = ("--data-dir", str(folder / "controller"))

        incidents = json.loads(homeostat(*data, "incidents", "list", "--limit", "0", "-o", "json").stdout)
        healed = {(one["endpoint"], one["fault"]) for one in incidents if one["status"] == "healed"}
        assert healed >= {
            ("web-1", "service-down"),
            ("web-1", "service-hung"),
            ("kiosk-1", "runaway-cpu"),
            ("kiosk-1", "disk-full"),
            ("db-1", "memory-leak"),
        }
        approvals = json.loads(homeostat(*data, "approvals", "list", "-o", "json").stdout)
        waiting = [one for one in approvals if one["status"] == "waiting"]
        assert [(one["endpoint"], one["fault"]) for one in waiting] == [("db-1", "memory-leak")]

        again = homeostat("demo", "up", *options)
        assert again.returncode == 0
        assert "already runs" in again.stdout

        approve = (*data, "approvals", "approve", waiting[0]["id"], "--reason", "try it", "--yes", "--wait")
        approved = homeostat(*approve)
        assert approved.returncode == 0, approved.stdout + approved.stderr
    finally:
        stopped = homeostat("demo", "stop", *options)
    assert stopped.returncode == 0, stopped.stderr
    assert processes_of(folder) == []
    assert not folder.exists()
