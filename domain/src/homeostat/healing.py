"""The healing run: one table, one function.

Rule 1: whatever changes a run's stage stands in this file. The caller journals the returned run, then does what the
commands say, then comes back with the next event. Deadlines are absolute and restarts are counted, so neither a
restart nor a clock jump can stretch a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from homeostat.outcome import Ending
from homeostat.plan import Plan

# A run that was cut off this often is settled as failed instead of being resumed once more.
RESTARTS_MAX = 5


class Stage(StrEnum):
    """Where a run is."""

    PRECHECKING = "prechecking"
    ACTING = "acting"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling-back"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Planned:
    """The pre-check passed; this is the plan."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Done:
    """The stage's work succeeded (for VERIFYING: the subject is well)."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class DoneBadly:
    """The stage's work failed, or the pre-check refused."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoData:
    """The verifier could not read what it needs."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The stage's deadline passed."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The actuator came back and found the run unfinished."""


Event = Planned | Done | DoneBadly | NoData | TimedOut | Restarted


class Command(StrEnum):
    """What the caller must do next."""

    PRECHECK = "precheck"
    CARRY_OUT_FORWARD = "carry-out-forward"
    SETTLE_AND_VERIFY = "settle-and-verify"
    CARRY_OUT_BACKWARD = "carry-out-backward"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, start to ending. `deadline` bounds the present stage."""

    id: str
    incident_id: str
    playbook: str
    stage: Stage
    deadline: datetime
    plan: Plan | None = None
    ending: Ending | None = None
    reason: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Next:
    """A row's right-hand side: the next stage with its command, or an ending."""

    stage: Stage
    command: Command
    ending: Ending | None = None


_ACT = Next(Stage.ACTING, Command.CARRY_OUT_FORWARD)
_VERIFY = Next(Stage.VERIFYING, Command.SETTLE_AND_VERIFY)
_UNDO = Next(Stage.ROLLING_BACK, Command.CARRY_OUT_BACKWARD)
_REFUSED = Next(Stage.ENDED, Command.REPORT, Ending.REFUSED)
_HEALED = Next(Stage.ENDED, Command.REPORT, Ending.HEALED)
_ROLLED_BACK = Next(Stage.ENDED, Command.REPORT, Ending.ROLLED_BACK)
_UNVERIFIED = Next(Stage.ENDED, Command.REPORT, Ending.UNVERIFIED)
_FAILED = Next(Stage.ENDED, Command.REPORT, Ending.FAILED)

# A plan with nothing to undo goes to FAILED wherever the table says ROLLING_BACK. What is not here cannot happen: a
# pair without a row is a bug in the caller.
TRANSITIONS: Mapping[tuple[Stage, type[Event]], Next] = MappingProxyType(
    {
        (Stage.PRECHECKING, Planned): _ACT,
        (Stage.PRECHECKING, DoneBadly): _REFUSED,
        (Stage.PRECHECKING, TimedOut): _REFUSED,
        (Stage.PRECHECKING, Restarted): _REFUSED,  # nothing was changed; the decider will ask again if it still matters
        (Stage.ACTING, Done): _VERIFY,
        (Stage.ACTING, DoneBadly): _UNDO,
        (Stage.ACTING, TimedOut): _UNDO,
        (Stage.ACTING, Restarted): _VERIFY,  # believe the host, not memory: what was done shows in the facts
        (Stage.VERIFYING, Done): _HEALED,
        (Stage.VERIFYING, DoneBadly): _UNDO,
        (Stage.VERIFYING, NoData): _UNVERIFIED,  # no data is never "healed", and no reason to undo either
        (Stage.VERIFYING, TimedOut): _UNDO,
        (Stage.VERIFYING, Restarted): _VERIFY,
        (Stage.ROLLING_BACK, Done): _ROLLED_BACK,
        (Stage.ROLLING_BACK, DoneBadly): _FAILED,
        (Stage.ROLLING_BACK, TimedOut): _FAILED,
        (Stage.ROLLING_BACK, Restarted): _UNDO,  # backward steps are idempotent
    }
)


def advance(run: Run, event: Event, deadline: datetime) -> tuple[Run, Command]:
    """Apply one event; return the next run, whose stage has until `deadline`, and what must be done.

    Raises ValueError for an event that the table has no row for: the caller's state is then impossible.
    """
    row = TRANSITIONS.get((run.stage, type(event)))
    if row is None:
        raise ValueError(f"a run in {run.stage} cannot take {type(event).__name__}")
    moved = replace(
        run,
        plan=event.plan if isinstance(event, Planned) else run.plan,
        restarts=run.restarts + isinstance(event, Restarted),
        reason=_reason(event) or run.reason,
    )
    if moved.restarts > RESTARTS_MAX:
        row = _FAILED
        moved = replace(moved, reason=f"cut off {moved.restarts} times")
    elif row is _UNDO and (moved.plan is None or not moved.plan.backward):
        row = _FAILED
    return replace(moved, stage=row.stage, ending=row.ending, deadline=deadline), row.command


def _reason(event: Event) -> str:
    match event:
        case Done(detail):
            return detail
        case DoneBadly(reason) | NoData(reason):
            return reason
        case TimedOut():
            return "ran out of time"
        case Planned() | Restarted():  # pragma: no branch  # the type checker holds the union closed
            return ""
