"""The actuator's memory: what it set out to do, how far it came, and what the decider does not know yet.

Nothing is done to the endpoint before `commit` has put the intent on disk. A run's end and its outcome are one
transaction; the outcome stays until the decider has stored it. Used approvals are remembered for longer than any
approval lives. One thread uses a journal.

`commit` waits for the disk (synchronous FULL). What is written `lazily` outlives this process, however it ends, but
perhaps not a loss of power: that is for lines whose loss changes nothing, because a run is resumed by what the endpoint
shows and no forward step is repeated.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.budget import History, PastRun
from homeostat.diagnosis import FaultClass
from homeostat.healing import Run, Stage
from homeostat.outcome import Ending, RunStep
from homeostat.policy_values import COUNT_MAX, PERIOD_MAX
from homeostat_agent.actuator import rows
from homeostat_agent.actuator.order import Before, Order
from homeostat_agent.actuator.rows import Kept, microseconds

# Budgets look back PERIOD_MAX at most; a day more covers a clock that is set.
KEPT_FOR = PERIOD_MAX + timedelta(days=1)
# That many repairs within KEPT_FOR are no repairs any more; the oldest are forgotten first.
RUNS_KEPT_MAX = 20_000
# No budget counts further than this, so that no clock set forward by mistake can refill one.
RUNS_KEPT_LEAST = COUNT_MAX
# Approvals live for days; a clock set back by a year must not revive one.
GRANTS_KEPT_FOR = timedelta(days=400)
# A run's steps and record are for a person who looks into it; the run itself is kept for the budgets.
DETAILED_RUNS_KEPT_MAX = 500
TEXT_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class StepDone:
    """How one step ended, and when."""

    at: datetime
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """An outcome that the decider has not stored yet, as the serialized message."""

    run_id: str
    body: bytes


class Journal:
    """The journal on an open database. Changes gather in one transaction until `commit`; `make_room` comes before."""

    def __init__(self, connection: sqlite3.Connection, make_room: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._make_room = make_room
        self._connection.row_factory = sqlite3.Row

    def begin(self, order: Order, run: Run, at: datetime) -> None:
        """Write down a new run, and with it that its approval is used."""
        self._insert("run", {**rows.of_order(order, at), **rows.of_run(run)})
        if order.nonce:
            self._insert("used_grant", {"nonce": order.nonce, "pack_id": order.pack_id, "at_us": microseconds(at)})

    def save(self, run: Run, before: Before | None = None) -> None:
        """Write down how far a run is, and what was there before it."""
        columns = {**rows.of_run(run), **rows.of_before(before)}
        names = ", ".join(f"{name} = :{name}" for name in columns)
        self._change(f"UPDATE run SET {names} WHERE id = :id", {**columns, "id": run.id})  # noqa: S608  # our own names

    def end(self, run: Run, outcome: bytes) -> None:
        """Write down a run's end together with its outcome."""
        self.save(run)
        self._insert("outcome", {"run_id": run.id, "body": outcome})

    def note(self, run_id: str, step: RunStep) -> None:
        """Add a line to a run's record."""
        columns = {"run_id": run_id, "stage": step.stage, "at_us": microseconds(step.at), "detail": step.detail}
        self._insert("note", columns)

    def step_begun(self, run_id: str, direction: str, number: int, at: datetime) -> None:
        """Write down that one step of a plan is about to be carried out (again, where it was cut off)."""
        self._change(
            "INSERT INTO step (run_id, direction, number, begun_us, detail) VALUES (?, ?, ?, ?, '') "
            "ON CONFLICT DO UPDATE SET begun_us = excluded.begun_us",
            (run_id, direction, number, microseconds(at)),
        )

    def step_done(self, run_id: str, direction: str, number: int, done: StepDone) -> None:
        """Write down how a step ended."""
        self._change(
            "UPDATE step SET done_us = ?, ok = ?, detail = ? WHERE run_id = ? AND direction = ? AND number = ?",
            (microseconds(done.at), done.ok, done.detail[:TEXT_CHARACTERS_MAX], run_id, direction, number),
        )

    def commit(self) -> None:
        """Put everything written so far on disk."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    @contextmanager
    def lazily(self) -> Iterator[None]:
        """Commit what is written inside without waiting for the disk; what was written before is committed first."""
        self.commit()
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
            self.commit()
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("PRAGMA synchronous = FULL")

    def is_writing(self) -> bool:
        """Whether something was written that is not committed yet."""
        return self._connection.in_transaction

    def steps_done(self, run_id: str, direction: str) -> frozenset[int]:
        """Return the numbers of the steps that ended well."""
        found = self._connection.execute(
            "SELECT number FROM step WHERE run_id = ? AND direction = ? AND ok = 1", (run_id, direction)
        )
        return frozenset(number for (number,) in found)

    def notes(self, run_id: str) -> tuple[RunStep, ...]:
        """Return a run's record."""
        found = self._connection.execute(
            "SELECT stage, at_us, detail FROM note WHERE run_id = ? ORDER BY id", (run_id,)
        )
        return tuple(RunStep(stage, rows.moment(at_us), detail) for stage, at_us, detail in found)

    def find(self, run_id: str) -> Kept | None:
        """Return a run, if it is known."""
        row = self._connection.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
        return rows.kept(row) if row is not None else None

    def unfinished(self) -> tuple[Kept, ...]:
        """Return the runs that have not ended, in the order they began."""
        found = self._connection.execute("SELECT * FROM run WHERE stage != ? ORDER BY started_us", (Stage.ENDED.value,))
        return tuple(rows.kept(row) for row in found)

    def history(self, now: datetime) -> History:
        """Return the runs that budgets can still count."""
        found = self._connection.execute("SELECT * FROM run WHERE started_us > ?", (microseconds(now - PERIOD_MAX),))
        return History(tuple(_past(row) for row in found))

    def is_used(self, nonce: bytes) -> bool:
        """Say whether an approval was used."""
        found = self._connection.execute("SELECT 1 FROM used_grant WHERE nonce = ?", (nonce,))
        return found.fetchone() is not None

    def unacknowledged(self) -> tuple[Unacknowledged, ...]:
        """Return the outcomes that the decider has not stored, in the order the runs began."""
        found = self._connection.execute(
            "SELECT run_id, body FROM outcome JOIN run ON run.id = run_id ORDER BY started_us, run_id"
        )
        return tuple(Unacknowledged(run_id, body) for run_id, body in found)

    def has_unacknowledged(self) -> bool:
        """Say whether there is an outcome that the decider has not stored."""
        return self._connection.execute("SELECT 1 FROM outcome").fetchone() is not None

    def acknowledge(self, run_id: str, now: datetime) -> bool:
        """Forget an outcome that the decider has stored; False where there is none."""
        with self.lazily():  # were it lost, the outcome would be told once more
            known = self._change("DELETE FROM outcome WHERE run_id = ?", (run_id,)) > 0
            if known:
                self._forget_old(now)
        return known

    def _forget_old(self, now: datetime) -> None:
        self._change(
            "DELETE FROM run WHERE stage = :ended AND id NOT IN (SELECT run_id FROM outcome)"
            " AND started_us <= (SELECT started_us FROM run ORDER BY started_us DESC LIMIT 1 OFFSET :least)"
            " AND (started_us < :old"
            " OR started_us <= (SELECT started_us FROM run ORDER BY started_us DESC LIMIT 1 OFFSET :most))",
            {
                "ended": Stage.ENDED.value,
                "old": microseconds(now - KEPT_FOR),
                "least": RUNS_KEPT_LEAST,
                "most": RUNS_KEPT_MAX,
            },
        )
        for table in ("step", "note"):
            self._change(
                f"DELETE FROM {table} WHERE run_id NOT IN (SELECT id FROM run ORDER BY started_us DESC LIMIT ?)"  # noqa: S608  # only constants of this file go in
                " AND run_id NOT IN (SELECT run_id FROM outcome)",
                (DETAILED_RUNS_KEPT_MAX,),
            )
        self._change("DELETE FROM used_grant WHERE at_us < ?", (microseconds(now - GRANTS_KEPT_FOR),))

    def _insert(self, table: str, columns: Mapping[str, object]) -> None:
        names = ", ".join(columns)
        places = ", ".join(f":{name}" for name in columns)
        self._change(f"INSERT INTO {table} ({names}) VALUES ({places})", columns)  # noqa: S608  # our own names

    def _change(self, statement: str, values: Mapping[str, object] | tuple[object, ...]) -> int:
        if not self._connection.in_transaction:
            self._make_room()
            self._connection.execute("BEGIN IMMEDIATE")
        return self._connection.execute(statement, values).rowcount


def _past(row: rows.Row) -> PastRun:
    return PastRun(
        row["playbook"],
        rows.subject(row),
        FaultClass(row["fault"]),
        row["rule"],
        rows.moment(row["started_us"]),
        Ending(row["ending"]) if row["ending"] is not None else None,
        approved=bool(row["pack_id"]),
        cut_off=row["restarts"] > 0,
    )
