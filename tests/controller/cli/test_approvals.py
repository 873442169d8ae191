"""Approving in a shell: what is shown, what is asked, and the exit codes."""

import json
import os
import pty
import subprocess

from fixtures_cli import COMMAND_S_MAX, PROGRAM, Homeostat
from fixtures_controller import closed
from fixtures_web import Web, a_run, push_more

from homeostat_controller.store import approvals
from homeostat_controller.store.approvals import ReceiptRow


def status(web: Web) -> str:
    with web.core.database.read() as connection:
        return approvals.get(connection, "pack-2").view.status


def test_what_waits_and_what_it_would_do(homeostat: Homeostat, seen: Web) -> None:
    assert homeostat("approvals", "list", at=seen).stdout.splitlines()[1].split()[0] == "pack-2"
    shown = homeostat("approvals", "show", "pack-2", at=seen).stdout
    for part in ("restart service web", "web runs again", "medium", "A restart cannot be undone."):
        assert part in shown


def test_a_reason_is_needed_and_a_script_says_yes_itself(homeostat: Homeostat, web: Web) -> None:
    without = homeostat("approvals", "approve", "pack-2", "--yes", at=web)
    assert without.returncode == 2
    assert 'Add --reason "…".' in without.stderr
    unasked = homeostat("approvals", "approve", "pack-2", "--reason", "Checked.", at=web)
    assert unasked.returncode == 2
    assert "Add --yes in scripts." in unasked.stderr
    assert status(web) == "waiting"
    done = homeostat("approvals", "approve", "pack-2", "--reason", "Checked.", "--yes", "-o", "json", at=web)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "approved")
    assert "Approved on db-1." in done.stderr
    assert status(web) == "approved"
    again = homeostat("approvals", "deny", "pack-2", "--reason", "No.", "--yes", at=web)
    assert again.returncode == 4
    assert "it is approved" in again.stderr


def test_a_person_sees_the_frozen_target_and_is_asked(web: Web) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "HOMEOSTAT_DATA_DIR": str(web.data_dir), "NO_COLOR": "1", "TERM": "dumb"}
    command = [str(PROGRAM), "approvals", "approve", "pack-2", "--reason", "Checked."]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as run:
        os.close(theirs)
        os.write(ours, b"n\n")
        _, said = run.communicate(timeout=COMMAND_S_MAX)
        os.close(ours)
    assert run.returncode == 1
    assert b"restart service web" in said
    assert b"Approve on 1 endpoint?" in said
    assert status(web) == "waiting"


def test_waiting_tells_what_came_of_it(homeostat: Homeostat, web: Web) -> None:
    assert homeostat("approvals", "approve", "pack-2", "--reason", "x", "--yes", at=web).returncode == 0
    with web.core.database.write() as connection:
        approvals.receive(connection, [ReceiptRow("ep-2", "pack-2", "accepted", "")], web.core.clock())
    push_more(web.core, "ep-2", a_run("pack-2"), closed("inc-2"))
    shown = homeostat("incidents", "show", "inc-2", "--wait", at=web)
    assert shown.returncode == 0


def test_waiting_for_an_answer_that_does_not_come_has_an_end(homeostat: Homeostat, web: Web) -> None:
    command = ("approvals", "approve", "pack-2", "--reason", "x", "--yes", "--wait", "--timeout", "0.5")
    done = homeostat(*command, at=web)
    assert done.returncode == 1
    assert "The endpoint's answer did not happen within 0.5 s." in done.stderr
