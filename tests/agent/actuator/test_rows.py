import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.actuator_runs import order
from homeostat.healing import Run, Stage
from homeostat.outcome import Ending
from homeostat.plan import EndProcess, Plan, RemoveFile, RestoreFile
from homeostat_agent.actuator import rows
from homeostat_agent.actuator.database import open_database
from homeostat_agent.actuator.host.port import Moment
from homeostat_agent.actuator.order import Before

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
PLAN = Plan(
    (EndProcess(7, 5, 1.5), RemoveFile("cache", "ä b.tmp", 10, 20, keep=False)),
    (RestoreFile("cache", "ä b.tmp"),),
    b"\0" * 32,
    "It helps.",
    ("One.", "Two."),
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_database(tmp_path / "journal.db")
    made.row_factory = sqlite3.Row
    yield made
    made.close()


def through(connection: sqlite3.Connection, run: Run, before: Before | None) -> rows.Kept:
    """Write a run and read it again."""
    columns = {**rows.of_order(order(), NOW), **rows.of_run(run), **rows.of_before(before)}
    names, places = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    connection.execute(f"INSERT INTO run ({names}) VALUES ({places})", columns)  # noqa: S608  # only constants of this file go in
    return rows.kept(connection.execute("SELECT * FROM run").fetchone())


@pytest.mark.parametrize(
    ("run", "before"),
    [
        (Run("run-1", "incident-1", "restart", Stage.PRECHECKING, NOW), None),
        (Run("run-1", "incident-1", "restart", Stage.ACTING, NOW, PLAN), Before(7, 8, Moment("boot", 9))),
        (Run("run-1", "incident-1", "restart", Stage.ENDED, NOW, PLAN, Ending.FAILED, "Why.", 3), None),
    ],
)
def test_a_run_is_read_as_it_was_written(connection: sqlite3.Connection, run: Run, before: Before | None) -> None:
    kept = through(connection, run, before)
    assert kept.run == run
    assert kept.before == before
    assert kept.started_at == NOW
    wanted = order()
    # Parameters stand among the numbers; the verifier is named, whoever named it first.
    playbook = replace(wanted.playbook, parameters={}, verifier=wanted.playbook.verified_by)
    assert kept.order == replace(wanted, playbook=playbook)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants bounds without a zone
def test_times_come_back_to_the_microsecond(at: datetime) -> None:
    assert rows.moment(rows.microseconds(at)) == at


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    local = NOW.astimezone(tz=None)
    assert rows.moment(rows.microseconds(local)) == NOW
    assert rows.microseconds(NOW + timedelta(microseconds=1)) == rows.microseconds(NOW) + 1
