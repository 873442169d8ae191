"""Incidents, open and past, with all that was decided and done about them: what `status` and `why` tell.

Everything is kept as the message that was or will be sent, in the order it happened. Closed incidents are kept up to
a number; runs are kept on their own, because budgets count them longer than anyone asks about an incident.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.message import Message

from homeostat.budget import History, PastRun
from homeostat.diagnosis import FaultClass
from homeostat.outcome import Ending
from homeostat.subject import Subject, SubjectKind
from homeostat.wire.v1 import incident_pb2, link_pb2

CLOSED_MAX = 1000
# Decisions, steps and packs of one incident; outcomes and denials beyond it are kept all the same.
ENTRIES_PER_INCIDENT_MAX = 200
# The longest period a budget may have is days, the busiest budget some runs an hour.
RUNS_MAX = 5000
FOUND_MAX = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EntryMessage = (
    incident_pb2.Decision | incident_pb2.ExceptionPack | incident_pb2.RunStep | incident_pb2.Outcome | link_pb2.Denial
)
_KINDS: dict[str, type[Message]] = {
    "decision": incident_pb2.Decision,
    "pack": incident_pb2.ExceptionPack,
    "step": incident_pb2.RunStep,
    "outcome": incident_pb2.Outcome,
    "denial": link_pb2.Denial,
}
_ALWAYS_KEPT = frozenset({"outcome", "denial"})
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """One incident and its entries in the order they came; `how` it closed is empty while it is open."""

    incident: incident_pb2.Incident
    how: str
    entries: tuple[EntryMessage, ...] = ()


class IncidentStore:
    """Incidents over an open store; every call belongs to the transaction of its caller."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def opened(self, incident: incident_pb2.Incident) -> None:
        """Keep a new incident, or its newer evidence."""
        self._connection.execute(
            "INSERT INTO incident VALUES (?, ?, NULL, '', ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (incident.id, incident.opened_at.ToMicroseconds(), incident.SerializeToString()),
        )

    def closed(self, closed: link_pb2.IncidentClosed) -> None:
        """Note an incident's end, and forget the oldest closed incidents beyond CLOSED_MAX."""
        self._connection.execute(
            "UPDATE incident SET closed_us = ?, how = ? WHERE id = ? AND closed_us IS NULL",
            (closed.at.ToMicroseconds(), closed.how, closed.incident_id),
        )
        old = (
            "SELECT id FROM incident WHERE closed_us IS NOT NULL ORDER BY closed_us DESC, id LIMIT -1 OFFSET ?",
            (CLOSED_MAX,),
        )
        for (incident_id,) in self._connection.execute(*old).fetchall():
            self._connection.execute("DELETE FROM incident_entry WHERE incident_id = ?", (incident_id,))
            self._connection.execute("DELETE FROM incident WHERE id = ?", (incident_id,))

    def add(self, incident_id: str, entry: EntryMessage) -> bool:
        """Add what was decided or done; return whether there was room for it (outcomes and denials always have)."""
        kind = next(name for name, of in _KINDS.items() if isinstance(entry, of))
        if kind not in _ALWAYS_KEPT and self._entries_of(incident_id) >= ENTRIES_PER_INCIDENT_MAX:
            return False
        self._connection.execute(
            "INSERT INTO incident_entry (incident_id, kind, body) VALUES (?, ?, ?)",
            (incident_id, kind, entry.SerializeToString()),
        )
        return True

    def run_started(self, run_id: str, incident_id: str, run: PastRun) -> None:
        """Keep a run from its start on; a repeat changes nothing."""
        self._connection.execute(
            "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
                incident_id,
                run.playbook,
                run.subject.kind.value,
                run.subject.name,
                run.fault.value,
                run.rule,
                _micros(run.started_at),
                run.approved,
                run.ending.value if run.ending else None,
                run.cut_off,
            ),
        )
        self._connection.execute(
            "DELETE FROM run WHERE id IN (SELECT id FROM run ORDER BY started_us DESC, id LIMIT -1 OFFSET ?)",
            (RUNS_MAX,),
        )

    def run_ended(self, run_id: str, ending: Ending, *, cut_off: bool = False) -> bool:
        """Note a run's ending; return False where it had one already or was never started here.

        `cut_off`: the actuator was restarted during the run.
        """
        changed = self._connection.execute(
            "UPDATE run SET ending = ?, cut_off = ? WHERE id = ? AND ending IS NULL", (ending.value, cut_off, run_id)
        )
        return changed.rowcount == 1

    def history(self, since: datetime) -> History:
        """Return the runs started since then, oldest first."""
        return History(tuple(self.runs(since).values()))

    def runs(self, since: datetime) -> dict[str, PastRun]:
        """Return the runs started since then by their ids, oldest first."""
        rows = self._connection.execute(
            "SELECT id, playbook, subject_kind, subject_name, fault, rule, started_us, approved, ending, cut_off "
            "FROM run "
            "WHERE started_us >= ? ORDER BY started_us, id",
            (_micros(since),),
        )
        return {row[0]: _past_run(row[1:]) for row in rows}

    def open(self) -> tuple[IncidentRecord, ...]:
        """Return the open incidents with their entries, oldest first."""
        return self._records("closed_us IS NULL ORDER BY opened_us, id LIMIT ?", FOUND_MAX)

    def recent(self, limit: int = FOUND_MAX) -> tuple[IncidentRecord, ...]:
        """Return the latest incidents without their entries, newest first."""
        rows = self._connection.execute(
            "SELECT body, closed_us, how FROM incident ORDER BY opened_us DESC, id LIMIT ?", (min(limit, FOUND_MAX),)
        )
        return tuple(IncidentRecord(_incident(body, closed_us), how) for body, closed_us, how in rows)

    def find(self, beginning: str) -> tuple[IncidentRecord, ...]:
        """Return the incidents whose id begins so, with their entries, newest first."""
        return self._records(
            "substr(id, 1, length(?1)) = ?1 ORDER BY opened_us DESC, id LIMIT ?2", beginning, FOUND_MAX
        )

    def _records(self, condition: str, *values: str | int) -> tuple[IncidentRecord, ...]:
        rows = self._connection.execute(
            f"SELECT id, body, closed_us, how FROM incident WHERE {condition}",  # noqa: S608  # a constant of this file
            values,
        ).fetchall()
        return tuple(
            IncidentRecord(_incident(body, closed_us), how, tuple(self._entries(incident_id)))
            for incident_id, body, closed_us, how in rows
        )

    def _entries(self, incident_id: str) -> Iterable[EntryMessage]:
        rows = self._connection.execute(
            "SELECT kind, body FROM incident_entry WHERE incident_id = ? ORDER BY id", (incident_id,)
        )
        return [_KINDS[kind].FromString(body) for kind, body in rows]  # type: ignore[misc]  # _KINDS are the union's

    def _entries_of(self, incident_id: str) -> int:
        row = self._connection.execute("SELECT count(*) FROM incident_entry WHERE incident_id = ?", (incident_id,))
        return int(row.fetchone()[0])


def _incident(body: bytes, closed_us: int | None) -> incident_pb2.Incident:
    incident = incident_pb2.Incident.FromString(body)
    if closed_us is not None:
        incident.closed_at.FromMicroseconds(closed_us)
    return incident


def _past_run(row: tuple[str, str, str, str, str, int, int, str | None, int]) -> PastRun:
    playbook, kind, name, fault, rule, started_us, approved, ending, cut_off = row
    return PastRun(
        playbook=playbook,
        subject=Subject(SubjectKind(kind), name),
        fault=FaultClass(fault),
        rule=rule,
        started_at=_EPOCH + timedelta(microseconds=started_us),
        ending=Ending(ending) if ending else None,
        approved=bool(approved),
        cut_off=bool(cut_off),
    )


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
