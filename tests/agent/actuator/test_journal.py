import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fakes.actuator_runs import WEB, order, outcome, run
from homeostat.budget import PastRun
from homeostat.diagnosis import FaultClass
from homeostat.healing import Stage
from homeostat.outcome import Ending, RunStep
from homeostat.policy_values import PERIOD_MAX
from homeostat_agent.actuator import journal as module
from homeostat_agent.actuator.database import open_database
from homeostat_agent.actuator.host.port import Moment
from homeostat_agent.actuator.journal import GRANTS_KEPT_FOR, KEPT_FOR, Journal, StepDone, Unacknowledged
from homeostat_agent.actuator.order import Before

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    connection = open_database(path)
    yield Journal(connection)
    connection.close()


def end(journal: Journal, run_id: str, at: datetime = NOW, ending: Ending = Ending.HEALED, pack_id: str = "") -> None:
    journal.begin(order(run_id, pack_id=pack_id), run(run_id, at), at)
    journal.end(run(run_id, at, Stage.ENDED, ending), outcome(run_id, at, ending))
    journal.commit()


def seen_by_another(path: Path, question: str) -> list[tuple[object, ...]]:
    """Ask as somebody who opens the journal after a crash would: what was not committed is not there."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def test_nothing_counts_before_it_is_committed(path: Path, journal: Journal) -> None:
    journal.begin(order(nonce=b"n"), run("run-1", NOW), NOW)
    journal.step_begun("run-1", "forward", 0, NOW)
    assert seen_by_another(path, "SELECT id FROM run") == []
    journal.commit()
    assert seen_by_another(path, "SELECT id FROM run") == [("run-1",)]
    assert seen_by_another(path, "SELECT nonce FROM used_grant") == [(b"n",)]
    assert seen_by_another(path, "SELECT number FROM step") == [(0,)]


def synchronous(journal: Journal) -> int:
    (found,) = journal._connection.execute("PRAGMA synchronous").fetchone()
    return int(found)


def test_what_is_written_lazily_is_there_for_others_and_the_disk_is_waited_for_again_afterwards(
    path: Path, journal: Journal
) -> None:
    journal.begin(order("run-1"), run("run-1", NOW), NOW)
    with journal.lazily():
        assert synchronous(journal) == 1  # NORMAL
        assert len(seen_by_another(path, "SELECT id FROM run")) == 1
        journal.begin(order("run-2"), run("run-2", NOW), NOW)
        assert journal.is_writing()
    assert not journal.is_writing()
    assert synchronous(journal) == 2  # FULL
    assert len(seen_by_another(path, "SELECT id FROM run")) == 2


def test_what_fails_while_it_is_written_lazily_is_not_there(path: Path, journal: Journal) -> None:
    journal.begin(order("run-0", nonce=b"n"), run("run-0", NOW), NOW)
    writing = journal.lazily()
    writing.__enter__()
    journal.begin(order("run-1"), run("run-1", NOW), NOW)
    with pytest.raises(sqlite3.IntegrityError) as failed:
        journal.begin(order("run-2", nonce=b"n"), run("run-2", NOW), NOW)
    assert not writing.__exit__(failed.type, failed.value, failed.tb)
    assert synchronous(journal) == 2
    assert seen_by_another(path, "SELECT id FROM run") == [("run-0",)]


def test_committing_nothing_is_nothing(journal: Journal) -> None:
    journal.commit()


def test_room_is_made_before_the_first_change_of_each_transaction(path: Path) -> None:
    made: list[str] = []
    connection = open_database(path)
    journal = Journal(connection, lambda: made.append("room"))
    journal.begin(order(), run("run-1", NOW), NOW)
    journal.note("run-1", RunStep("acting", NOW, "x"))
    assert made == ["room"]
    journal.commit()
    journal.note("run-1", RunStep("acting", NOW, "x"))
    assert made == ["room"] * 2
    connection.close()


def test_a_run_is_found_with_how_far_it_came(journal: Journal) -> None:
    journal.begin(order(), run("run-1", NOW), NOW)
    before = Before(7, 8, Moment("boot", 9))
    journal.save(run("run-1", NOW, Stage.VERIFYING), before)
    kept = journal.find("run-1")
    assert kept is not None
    assert (kept.run.stage, kept.before) == (Stage.VERIFYING, before)
    journal.save(run("run-1", NOW, Stage.ROLLING_BACK))
    kept = journal.find("run-1")
    assert kept is not None
    assert (kept.run.stage, kept.before) == (Stage.ROLLING_BACK, before)
    assert journal.find("run-2") is None


def test_unfinished_runs_come_in_the_order_they_began(journal: Journal) -> None:
    end(journal, "ended")
    for run_id, seconds in (("second", 2), ("first", 1)):
        at = NOW + timedelta(seconds=seconds)
        journal.begin(order(run_id), run(run_id, at), at)
    assert [one.order.run_id for one in journal.unfinished()] == ["first", "second"]


def test_steps_are_remembered_by_how_they_ended(journal: Journal) -> None:
    for number, ok in ((0, True), (1, False)):
        journal.step_begun("run-1", "forward", number, NOW)
        journal.step_done("run-1", "forward", number, StepDone(NOW, ok, "detail"))
    journal.step_begun("run-1", "forward", 2, NOW)
    assert journal.steps_done("run-1", "forward") == {0}
    assert journal.steps_done("run-1", "backward") == frozenset()


def test_a_step_begun_again_is_one_step(path: Path, journal: Journal) -> None:
    journal.step_begun("run-1", "backward", 0, NOW)
    journal.step_begun("run-1", "backward", 0, NOW)
    journal.commit()
    assert seen_by_another(path, "SELECT count(*) FROM step") == [(1,)]


def test_the_record_of_a_run_is_kept_in_order(journal: Journal) -> None:
    steps = (RunStep("prechecking", NOW, "one"), RunStep("acting", NOW, "two"))
    for step in steps:
        journal.note("run-1", step)
    assert journal.notes("run-1") == steps
    assert journal.notes("run-2") == ()


def test_the_history_is_what_budgets_see(journal: Journal) -> None:
    end(journal, "run-1", ending=Ending.FAILED, pack_id="pack-1")
    journal.begin(order("run-2"), run("run-2", NOW), NOW)
    known = {one.ending: one for one in journal.history(NOW).runs}
    past = PastRun("restart", WEB, FaultClass.SERVICE_DOWN, "rule-1", NOW, Ending.FAILED, approved=True)
    assert known == {
        Ending.FAILED: past,
        None: PastRun("restart", WEB, FaultClass.SERVICE_DOWN, "rule-1", NOW),
    }


def test_a_run_that_was_cut_off_is_known_as_such(journal: Journal) -> None:
    journal.begin(order(), run("run-1", NOW), NOW)
    journal.save(replace(run("run-1", NOW, Stage.ENDED, Ending.FAILED), restarts=1))
    assert [one.cut_off for one in journal.history(NOW).runs] == [True]


def test_the_history_reaches_as_far_back_as_any_budget(journal: Journal) -> None:
    end(journal, "just-outside", NOW - PERIOD_MAX)
    end(journal, "just-inside", NOW - PERIOD_MAX + timedelta(microseconds=1))
    end(journal, "in-the-future", NOW + timedelta(days=400))  # the clock was set back since: it still counts
    assert len(journal.history(NOW).runs) == 2


def test_a_used_approval_stays_used(journal: Journal) -> None:
    journal.begin(order(pack_id="pack-1", nonce=b"n"), run("run-1", NOW), NOW)
    assert journal.is_used(b"n")
    assert not journal.is_used(b"m")


def test_an_approval_cannot_be_used_twice_even_by_mistake(journal: Journal) -> None:
    journal.begin(order("run-1", nonce=b"n"), run("run-1", NOW), NOW)
    with pytest.raises(sqlite3.IntegrityError):
        journal.begin(order("run-2", nonce=b"n"), run("run-2", NOW), NOW)


def test_an_outcome_stays_until_it_is_acknowledged(journal: Journal) -> None:
    assert not journal.has_unacknowledged()
    end(journal, "run-2", NOW + timedelta(seconds=1))
    end(journal, "run-1", NOW)
    assert journal.has_unacknowledged()
    assert journal.unacknowledged() == (
        Unacknowledged("run-1", outcome("run-1", NOW)),
        Unacknowledged("run-2", outcome("run-2", NOW + timedelta(seconds=1))),
    )
    assert journal.acknowledge("run-1", NOW)
    assert [one.run_id for one in journal.unacknowledged()] == ["run-2"]
    assert not journal.acknowledge("run-1", NOW)
    assert not journal.acknowledge("never-heard-of", NOW)


def test_acknowledging_a_run_that_goes_on_changes_nothing(journal: Journal) -> None:
    journal.begin(order(), run("run-1", NOW), NOW)
    journal.commit()
    assert not journal.acknowledge("run-1", NOW)
    assert journal.find("run-1") is not None


def many(journal: Journal, count: int, first: datetime) -> None:
    """Add ended, acknowledged runs, a second apart, quickly."""
    journal.begin(order("pattern"), run("pattern", first), first)
    journal.save(run("pattern", first, Stage.ENDED, Ending.HEALED))
    columns = [name for (_, name, *_rest) in journal._connection.execute("PRAGMA table_info(run)")]
    rest = ", ".join(name for name in columns if name not in {"id", "started_us"})
    numbers = "WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < ?)"
    copies = f"SELECT 'many-' || n, started_us + n * 1000000, {rest} FROM run, counter WHERE id = 'pattern'"  # noqa: S608  # only constants of this file go in
    journal._connection.execute(f"{numbers} INSERT INTO run (id, started_us, {rest}) {copies}", (count,))
    journal.commit()


def count(journal: Journal, table: str = "run") -> int:
    (found,) = journal._connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # only constants of this file go in
    return int(found)


def test_old_runs_are_forgotten_but_never_so_many_that_a_budget_could_refill(journal: Journal) -> None:
    many(journal, module.RUNS_KEPT_LEAST + 50, NOW)
    end(journal, "now", NOW + KEPT_FOR + timedelta(hours=1))
    journal.acknowledge("now", NOW + KEPT_FOR + timedelta(hours=1))
    assert count(journal) == module.RUNS_KEPT_LEAST


def test_recent_runs_are_kept_up_to_the_bound(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    many(journal, module.RUNS_KEPT_MAX + 10, NOW)
    end(journal, "last", NOW + timedelta(days=1))
    journal.acknowledge("last", NOW + timedelta(days=1))
    assert count(journal) == module.RUNS_KEPT_MAX


def test_a_run_whose_outcome_waits_is_not_forgotten(journal: Journal) -> None:
    end(journal, "waits", NOW - timedelta(days=300))
    many(journal, module.RUNS_KEPT_LEAST + 50, NOW)
    end(journal, "now")
    journal.acknowledge("now", NOW + KEPT_FOR * 2)
    assert journal.find("waits") is not None


def test_details_are_kept_for_the_latest_runs_and_for_those_that_wait(journal: Journal) -> None:
    end(journal, "waits", NOW - timedelta(days=3))
    end(journal, "old", NOW - timedelta(days=2))
    for run_id in ("waits", "old"):
        journal.note(run_id, RunStep("acting", NOW, "x"))
        journal.step_begun(run_id, "forward", 0, NOW)
    many(journal, module.DETAILED_RUNS_KEPT_MAX, NOW)
    journal.acknowledge("old", NOW)
    assert journal.notes("old") == ()
    assert len(journal.notes("waits")) == 1
    assert count(journal, "step") == 1


def test_used_approvals_are_forgotten_after_longer_than_any_lives(journal: Journal) -> None:
    journal.begin(order("run-1", pack_id="pack-1", nonce=b"n"), run("run-1", NOW), NOW)
    journal.end(run("run-1", NOW, Stage.ENDED, Ending.HEALED), outcome("run-1", NOW))
    end(journal, "run-2")
    journal.acknowledge("run-1", NOW + GRANTS_KEPT_FOR)
    assert journal.is_used(b"n")
    journal.acknowledge("run-2", NOW + GRANTS_KEPT_FOR + timedelta(seconds=1))
    assert not journal.is_used(b"n")
