"""What is left of the action and error budgets, from what was done before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from homeostat.diagnosis import FaultClass
from homeostat.outcome import Ending
from homeostat.policy import Budget
from homeostat.subject import Subject

# A refused run changed nothing: it uses no budget. A run still going (ending None) uses one.
_NOT_HELPED = frozenset({Ending.ROLLED_BACK, Ending.UNVERIFIED, Ending.FAILED})


@dataclass(frozen=True, slots=True)
class PastRun:
    """A healing run as the budgets see it; `ending` is None while it goes on. `approved`: a person let it start.

    `cut_off`: the actuator was restarted during the run, so an ending that did not help says nothing about the repair.
    """

    playbook: str
    subject: Subject
    fault: FaultClass
    rule: str
    started_at: datetime
    ending: Ending | None = None
    approved: bool = False
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """The endpoint's runs that can still matter, in any order."""

    runs: tuple[PastRun, ...] = ()


def spent(budget: Budget, runs: Iterable[PastRun], now: datetime) -> int:
    """Return how many of `runs` fall in the period that ends now and used the budget.

    A run that seems to lie in the future counts too: a clock set back must not refill a budget.
    """
    since = now - budget.period
    return sum(1 for run in runs if run.started_at > since and run.ending is not Ending.REFUSED)


def failed(runs: Iterable[PastRun]) -> tuple[PastRun, ...]:
    """Return the runs that did not help, and were not cut off in trying."""
    return tuple(run for run in runs if run.ending in _NOT_HELPED and not run.cut_off)
