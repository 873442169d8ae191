"""`homeostat controller`: made, brought up to date, and run as a real process until it is told to stop."""

import json
import signal
import subprocess
from pathlib import Path

from fixtures_cli import COMMAND_S_MAX, PROGRAM, Homeostat
from fixtures_web import wait_until

LISTEN = {
    "HOMEOSTAT_HTTP_LISTEN": "127.0.0.1:0",
    "HOMEOSTAT_ENROL_LISTEN": "127.0.0.1:0",
    "HOMEOSTAT_LINK_LISTEN": "127.0.0.1:0",
}


def test_from_an_empty_folder_to_a_running_controller(homeostat: Homeostat, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = homeostat("controller", "init", "--data-dir", str(folder))
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    token = (folder / "admin.token").read_text()
    assert token not in made.stderr
    assert homeostat("controller", "migrate", "--data-dir", str(folder)).returncode == 0
    assert homeostat("--data-dir", str(folder), "doctor").returncode == 2  # it never ran: there is no address yet
    environment = {**LISTEN, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [str(PROGRAM), "--data-dir", str(folder), "controller", "run"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        try:
            wait_until((folder / "http.address").exists, COMMAND_S_MAX)
            seen = homeostat("--data-dir", str(folder), "doctor", "-o", "json")
            assert seen.returncode == 0, seen.stdout + seen.stderr
            assert {one["state"] for one in json.loads(seen.stdout)} <= {"ok", "waiting"}
            running.send_signal(signal.SIGTERM)
            _, said = running.communicate(timeout=COMMAND_S_MAX)
        finally:
            running.kill()
    assert running.returncode == 0
    assert token not in said
    assert "Traceback" not in said
    assert homeostat("--data-dir", str(folder), "endpoints", "list").returncode == 5


def test_a_setting_that_does_not_exist_is_said_so(homeostat: Homeostat, tmp_path: Path) -> None:
    (tmp_path / "controller.toml").write_text("colour = 'red'\n")
    done = homeostat("controller", "run", "--config", "controller.toml", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "colour" in done.stderr
    assert "Traceback" not in done.stderr
