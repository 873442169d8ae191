"""Runs as rows of the journal, and back. Times are whole microseconds since 1970, UTC."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.diagnosis import FaultClass
from homeostat.healing import Run, Stage
from homeostat.outcome import Ending
from homeostat.playbook import Playbook
from homeostat.subject import Subject, SubjectKind
from homeostat.wire import plans
from homeostat.wire.v1 import incident_pb2
from homeostat_agent.actuator.host.port import Moment
from homeostat_agent.actuator.order import Before, Order

Row = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """One run of the journal: what was ordered, when, how far it has come, and what was there before it."""

    order: Order
    started_at: datetime
    run: Run
    before: Before | None


def of_order(order: Order, started_at: datetime) -> dict[str, object]:
    """Return the columns that stay as they are from a run's first moment."""
    return {
        "id": order.run_id,
        "incident_id": order.incident_id,
        "fault": order.fault.value,
        "subject_kind": order.subject.kind.value,
        "subject_name": order.subject.name,
        "rule": order.rule,
        "playbook": order.playbook.name,
        "action": order.playbook.action,
        "verifier": order.playbook.verified_by,
        "settle_us": order.playbook.settle // _MICROSECOND,
        "verify_within_us": order.playbook.verify_within // _MICROSECOND,
        "numbers": json.dumps(dict(order.numbers)),
        "pack_id": order.pack_id,
        "started_us": microseconds(started_at),
    }


def of_run(run: Run) -> dict[str, object]:
    """Return the columns that move with a run."""
    return {
        "stage": run.stage.value,
        "deadline_us": microseconds(run.deadline),
        "plan": plans.plan_to_wire(run.plan).SerializeToString() if run.plan is not None else None,
        "ending": run.ending.value if run.ending is not None else None,
        "reason": run.reason,
        "restarts": run.restarts,
    }


def of_before(before: Before | None) -> dict[str, object]:
    """Return the columns that say what was there before."""
    if before is None:
        return {}
    return {
        "before_pid": before.pid,
        "before_started": before.started,
        "before_boot": before.at.boot,
        "before_ticks": before.at.ticks,
    }


def kept(row: Row) -> Kept:
    """Read a whole row. Raises ValueError where a later version wrote what this one does not know."""
    deadline, started_at = moment(row["deadline_us"]), moment(row["started_us"])
    run = Run(
        row["id"],
        row["incident_id"],
        row["playbook"],
        Stage(row["stage"]),
        deadline,
        plan=plans.plan_from_wire(incident_pb2.Plan.FromString(row["plan"])) if row["plan"] is not None else None,
        ending=Ending(row["ending"]) if row["ending"] is not None else None,
        reason=row["reason"],
        restarts=row["restarts"],
    )
    return Kept(_order(row), started_at, run, _before(row))


def subject(row: Row) -> Subject:
    """Read what a run is about."""
    return Subject(SubjectKind(row["subject_kind"]), row["subject_name"])


def microseconds(at: datetime) -> int:
    """Return an aware time as the journal keeps it."""
    return (at - _EPOCH) // _MICROSECOND


def moment(kept_us: int) -> datetime:
    """Return a kept time, aware, in UTC."""
    return _EPOCH + kept_us * _MICROSECOND


def _order(row: Row) -> Order:
    playbook = Playbook(
        row["playbook"],
        row["action"],
        settle=row["settle_us"] * _MICROSECOND,
        verify_within=row["verify_within_us"] * _MICROSECOND,
        verifier=row["verifier"],
    )
    fault, numbers = FaultClass(row["fault"]), json.loads(row["numbers"])
    return Order(row["id"], row["incident_id"], fault, subject(row), row["rule"], playbook, numbers, row["pack_id"])


def _before(row: Row) -> Before | None:
    if row["before_boot"] is None:
        return None
    return Before(row["before_pid"], row["before_started"], Moment(row["before_boot"], row["before_ticks"]))
