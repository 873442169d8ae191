"""The actuator as a real process: real socket, real keys, real journal, real services of this machine."""

import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fakes.actuator_rig import ENDPOINT_ID, Connection, Rig, incident, is_running, policy, read_pid, subject, until
from homeostat.diagnosis import FaultClass
from homeostat.evidence import SignalKind
from homeostat.exception_pack import Grant
from homeostat.playbook import Playbook
from homeostat.policy import Level, Threshold
from homeostat.wire import plans
from homeostat.wire.incidents import incident_to_wire
from homeostat.wire.v1 import actuation_pb2, incident_pb2

WEB = subject("service", "web")
HEALED = incident_pb2.ENDING_HEALED
KILLS = 20


def tables(root: Path) -> str:
    """Return what the endpoint declares: a service that notes its starts, a program and a folder."""
    (root.parent / "cache").mkdir(exist_ok=True)
    start = f"echo started >> {root.parent}/starts; exec sleep 100020"
    return f"""
[[service]]
name = "web"
command = ["/bin/sh", "-c", "{start}"]
pid_file = "{root}/run/web.pid"
check = ["/usr/bin/test", "!", "-e", "{root.parent}/broken"]
[[program]]
name = "burner"
executable = "{Path(sys.executable).resolve()}"
arguments = ["burner-{root.parent.name}"]
[[folder]]
name = "cache"
path = "{root.parent}/cache"
patterns = ["*.tmp"]
limit_mib = 1
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "rig", tables(tmp_path / "rig")).prepare()
    yield made
    made.clean_up()


def ready(rig: Rig, **changes: object) -> Connection:
    """Start the actuator, connect, and put a policy in force."""
    rig.start()
    connection = rig.connect()
    verdict = connection.use(rig.signer.policy(policy(**changes)))  # type: ignore[arg-type]  # the fields are named by the caller
    assert verdict.accepted, verdict.reason
    return connection


def web_pid(rig: Rig) -> int:
    return read_pid(rig.root / "run" / "web.pid")


def outcome(connection: Connection, run_id: str) -> incident_pb2.Outcome:
    """Return a run's outcome, and say that it is stored. Others that come again meanwhile are passed over."""
    found = connection.hear("outcome").outcome
    while found.run_id != run_id:
        found = connection.hear("outcome").outcome
    connection.stored(run_id)
    return found


def heal_web(connection: Connection, run_id: str = "run-1") -> incident_pb2.Outcome:
    connection.heal(run_id, incident(WEB), "restart")
    return outcome(connection, run_id)


def rows(rig: Rig, question: str) -> list[tuple[object, ...]]:
    journal = sqlite3.connect(rig.data_dir / "journal.db")
    try:
        return journal.execute(question).fetchall()
    finally:
        journal.close()


# Repairs, for real.


def test_a_crashed_service_is_healed_and_its_end_leaves_no_zombie(rig: Rig) -> None:
    connection = ready(rig)
    assert heal_web(connection).ending == HEALED
    first = web_pid(rig)
    os.kill(first, signal.SIGKILL)
    until("the actuator has taken the ended child away", lambda: not Path(f"/proc/{first}").exists())
    found = heal_web(connection, "run-2")
    assert found.ending == HEALED
    assert is_running(web_pid(rig))
    assert web_pid(rig) != first
    assert [step.stage for step in found.steps] == ["prechecking", "prechecking", "acting", "verifying"]
    connection.close()


def test_a_hung_service_is_healed(rig: Rig) -> None:
    connection = ready(rig)
    heal_web(connection)
    first = web_pid(rig)
    os.kill(first, signal.SIGSTOP)
    connection.heal("run-2", incident(WEB, FaultClass.SERVICE_HUNG, SignalKind.NO_PROGRESS), "restart")
    assert outcome(connection, "run-2").ending == HEALED
    assert not is_running(first)
    connection.close()


def test_a_failing_configuration_test_prevents_the_restart(rig: Rig) -> None:
    connection = ready(rig)
    (rig.root.parent / "broken").touch()
    found = heal_web(connection)
    assert found.ending == incident_pb2.ENDING_REFUSED
    assert web_pid(rig) == 0
    connection.close()


def test_a_runaway_is_ended(rig: Rig) -> None:
    limit = Threshold("cpu_runaway_percent", 15.0)  # the machine may be busy with other things
    connection = ready(rig, thresholds={limit.name: limit})
    argv = (sys.executable, "-c", "while True: pass", f"burner-{rig.root.parent.name}")
    burner = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        about = subject("process", "burner")
        connection.heal("run-1", incident(about, FaultClass.RUNAWAY_CPU, SignalKind.CPU_RUNAWAY), "end")
        assert outcome(connection, "run-1").ending == HEALED
        assert burner.wait(10) == -signal.SIGTERM
    finally:
        burner.kill()
        burner.wait()
    connection.close()


def test_a_full_folder_is_relieved(rig: Rig) -> None:
    connection = ready(rig)
    cache = rig.root.parent / "cache"
    for number in range(10):
        (cache / f"{number}.tmp").write_bytes(b"x" * (100 << 10))
    (cache / "keep.txt").write_bytes(b"x" * 1024)
    about = subject("folder", "cache")
    connection.heal("run-1", incident(about, FaultClass.DISK_FULL, SignalKind.DISK_OVER_LIMIT), "clean")
    assert outcome(connection, "run-1").ending == HEALED
    left = list(cache.iterdir())
    assert cache / "keep.txt" in left
    assert sum(one.stat().st_size for one in left) < 512 << 10
    kept = list((rig.data_dir / "trash" / "cache").iterdir())
    assert len(kept) + len(left) == 11
    connection.close()


def test_an_approved_repair_is_carried_out_and_an_approval_of_another_state_is_not(rig: Rig) -> None:
    connection = ready(rig, level=Level.ASK)
    about = incident(WEB)
    connection.heal("run-0", about, "restart")
    assert connection.hear("heal_refused").heal_refused.reason.code == "level"
    connection.say(
        propose=actuation_pb2.Propose(pack_id="pack-1", incident=incident_to_wire(about), playbook="restart")
    )
    plan = plans.plan_from_wire(connection.hear("proposal").proposal.plan)
    not_after = datetime.now(UTC) + timedelta(hours=1)
    grant = Grant(
        "pack-1", ENDPOINT_ID, about.id, "restart", plan.state_digest, plans.digest(plan), 1, "me", not_after, b"nonce"
    )
    connection.heal("run-1", about, "restart", rig.signer.grant(replace(grant, state_digest=b"x" * 32)))
    assert connection.hear("heal_refused").heal_refused.reason.code == "state-changed"
    connection.heal("run-2", about, "restart", rig.signer.grant(grant))
    found = outcome(connection, "run-2")
    assert (found.ending, found.pack_id) == (HEALED, "pack-1")
    connection.close()


# Starting.


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda rig: rig.config_path.unlink(), "no such file"),
        (lambda rig: rig.config_path.write_text("[agent]\nnope = 1\n"), "agent.nope: no such setting"),
        (lambda rig: rig.data_dir.chmod(0o777), "is writable by everyone"),
        (lambda rig: (rig.root / "run").chmod(0o777), "is writable by everyone"),
        (lambda rig: rig.root.chmod(0o777), "is writable by everyone"),
        (lambda rig: (rig.data_dir / "journal.db").write_bytes(b"x" * 9000), "is damaged"),
    ],
)
def test_it_refuses_to_start_where_it_must_not_with_one_line(
    rig: Rig, spoil: Callable[[Rig], object], expected: str
) -> None:
    text = rig.config_path.read_text()
    spoil(rig)
    process = rig.start(listening=False)
    assert process.wait(20) == 2
    (line,) = rig.log().splitlines()
    assert expected in line
    rig.root.chmod(0o700)
    rig.config_path.write_text(text)


def test_a_second_one_refuses_to_start_and_disturbs_nothing(rig: Rig) -> None:
    connection = ready(rig)
    first = rig.process
    assert rig.start(listening=False).wait(20) == 2
    assert "another actuator runs already" in rig.log()
    rig.process = first
    assert heal_web(connection).ending == HEALED
    connection.close()


def test_a_service_manager_s_socket_is_used(rig: Rig) -> None:
    path = rig.root / "run" / "actuator.sock"
    argv = [sys.executable, "-I", "-m", "homeostat_agent.actuator", str(rig.config_path)]
    hand_over = "import os; os.dup2({}, 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        code = f"{hand_over.format(listener.fileno())}; os.execv({argv[0]!r}, {argv!r})"
        rig.process = subprocess.Popen((sys.executable, "-c", code), pass_fds=(listener.fileno(),))
    connection = rig.connect()
    assert connection.use(rig.signer.policy(policy())).accepted
    connection.close()
    assert rig.stop() == 0
    assert path.exists()  # whoever made it takes it away


def test_it_is_lean(rig: Rig) -> None:
    connection = ready(rig)
    heal_web(connection)
    assert rig.process is not None
    maps = Path(f"/proc/{rig.process.pid}/maps").read_text()
    assert not re.search(r"libcrypto|libssl|_ssl|cygrpc|numpy|onnx|cryptography|_asyncio", maps)
    (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{rig.process.pid}/status").read_text())
    assert int(resident) < 40_000  # it is some 25 MB; this is to notice a library that creeps in
    connection.close()


# Ending and going on.


def test_it_ends_with_0_when_told_to_and_takes_its_socket_along(rig: Rig) -> None:
    ready(rig).close()
    assert rig.stop() == 0
    assert not (rig.root / "run" / "actuator.sock").exists()
    assert "Traceback" not in rig.log()


def slow(seconds: float) -> dict[str, Playbook]:
    made = policy().playbooks
    return {**made, "restart": replace(made["restart"], settle=timedelta(seconds=seconds))}


def test_told_to_end_during_a_run_it_ends_at_once_and_the_next_one_goes_on(rig: Rig) -> None:
    connection = ready(rig, playbooks=slow(1.0))
    connection.heal("run-1", incident(WEB), "restart")
    until("the run waits", lambda: rows(rig, "SELECT 1 FROM run WHERE stage = 'verifying'"))
    assert rig.stop() == 0
    connection.close()
    rig.start()
    again = rig.connect_unheard()
    assert list(again.hear("ready").ready.unfinished_runs) in (["run-1"], [])
    found = outcome(again, "run-1")
    assert (found.ending, found.restarts) == (HEALED, 1)
    again.close()


def test_a_journal_that_breaks_ends_it_in_order(rig: Rig) -> None:
    connection = ready(rig)
    journal = sqlite3.connect(rig.data_dir / "journal.db")
    journal.execute("DROP TABLE note")
    journal.commit()
    journal.close()
    connection.heal("run-1", incident(WEB), "restart")
    assert rig.process is not None
    assert rig.process.wait(20) == 1
    assert "event=journal-broken reason='no such table: note'" in rig.log()
    assert "Traceback" not in rig.log()
    assert web_pid(rig) == 0
    connection.close()


def test_the_policy_counts_again_after_a_restart(rig: Rig) -> None:
    ready(rig).close()
    rig.kill()
    rig.start()
    connection = rig.connect()
    assert heal_web(connection).ending == HEALED
    connection.close()


def test_an_outcome_outlives_the_actuator_until_it_is_stored(rig: Rig) -> None:
    connection = ready(rig)
    connection.heal("run-1", incident(WEB), "restart")
    connection.hear("outcome")
    connection.close()
    for _ in range(2):
        rig.kill()
        rig.start()
        connection = rig.connect()
        assert connection.hear("outcome").outcome.run_id == "run-1"
        connection.close()
    connection = rig.connect()
    connection.stored("run-1")
    until("it is forgotten", lambda: not rows(rig, "SELECT 1 FROM outcome"))
    connection.close()


def test_a_service_started_just_before_a_kill_is_found_again(rig: Rig) -> None:
    connection = ready(rig)
    heal_web(connection)
    pid = web_pid(rig)
    connection.close()
    rig.kill()
    # As if it had been killed between the start and the pid file, with the run's verification still to come.
    (rig.root / "run" / "web.pid").unlink()
    journal = sqlite3.connect(rig.data_dir / "journal.db")
    journal.execute("UPDATE run SET stage = 'acting', ending = NULL")
    journal.execute("DELETE FROM outcome")
    journal.commit()
    journal.close()
    rig.start()
    connection = rig.connect()
    assert connection.hear("outcome").outcome.ending == HEALED
    assert web_pid(rig) == pid
    connection.close()


def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(rig: Rig) -> None:
    """`kill -9` during real healing runs: every run is settled, no step is done twice, every outcome arrives."""
    chance = random.Random(7)  # noqa: S311  # so that a failure can be seen again
    ready(rig).close()
    arrived: list[str] = []
    for number in range(KILLS):
        arrived += one_kill(rig, f"run-{number}", chance.uniform(0.0, 0.03))
    assert len(arrived) == len(set(arrived)) == KILLS
    assert rows(rig, "SELECT id FROM run WHERE ending IS NULL") == []
    assert rows(rig, "SELECT run_id FROM outcome") == []
    begun = rows(rig, "SELECT run_id, number FROM step WHERE direction = 'forward'")
    starts = (rig.root.parent / "starts").read_text().split()
    assert len(starts) <= len(begun)
    assert is_running(web_pid(rig))


def one_kill(rig: Rig, run_id: str, moment_s: float) -> list[str]:
    """Crash the service, ask for its repair, kill the actuator, start it again; return the outcomes that arrived."""
    if pid := web_pid(rig):
        os.kill(pid, signal.SIGKILL)
        until("the crash", lambda: not is_running(pid))
    connection = rig.connect()
    connection.heal(run_id, incident(WEB), "restart")
    time.sleep(moment_s)  # not to wait for something, but to kill at some moment
    rig.kill()
    connection.close()
    rig.start()
    again = rig.connect()
    if (run_id,) not in rows(rig, "SELECT id FROM run"):
        again.heal(run_id, incident(WEB), "restart")  # it never began; the decider asks once more
    found = outcome(again, run_id)
    arrived = [found.run_id]
    if found.ending != HEALED or not is_running(web_pid(rig)):
        arrived += [heal_web(again, f"{run_id}-again").run_id]
    until("all is stored", lambda: not rows(rig, "SELECT 1 FROM outcome"))
    again.close()
    return [one for one in arrived if not one.endswith("-again")]
