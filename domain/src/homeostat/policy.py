"""What an agent may do alone, as a person delegated it.

A policy is data: immutable, compared by value, carried by protobuf. SEMANTICS_VERSION rises whenever the same policy
would decide differently, so that nobody simulates for an agent that thinks otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from homeostat.catalogue import THRESHOLDS, Risk
from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.subject import Subject

SEMANTICS_VERSION = 1


class Level(IntEnum):
    """How far a rule trusts the agent; each level includes the ones below it."""

    OBSERVE = 1
    SHADOW = 2
    ASK = 3
    ACT = 4

    @property
    def word(self) -> str:
        """The level as people write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Selector:
    """Endpoints by their labels: every key must have one of its values. An empty selector selects all."""

    matches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether an endpoint with these labels is selected."""
        return all(labels.get(key) in values for key, values in self.matches.items())


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `count` in any `period`."""

    count: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the endpoint as a whole.

    `failures` is the error budget; `repeats` counts one playbook on one subject.
    """

    actions: Budget = Budget(6, timedelta(hours=1))
    failures: Budget = Budget(2, timedelta(hours=24))
    repeats: Budget = Budget(3, timedelta(minutes=30))


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily interval, in the endpoint's local time, in which acting alone is withdrawn.

    Minutes count from midnight; start >= end runs over midnight. `weekdays` are ISO (1 = Monday) and name the day the
    interval starts on; empty means every day.
    """

    name: str
    start_minute: int
    end_minute: int
    weekdays: frozenset[int] = frozenset()

    def covers(self, now: datetime) -> bool:
        """Say whether `now`, in the endpoint's zone, lies inside."""
        minute = now.hour * 60 + now.minute
        if self.start_minute < self.end_minute:
            return self._on(now.isoweekday()) and self.start_minute <= minute < self.end_minute
        if minute >= self.start_minute:
            return self._on(now.isoweekday())
        yesterday = (now.isoweekday() - 2) % 7 + 1
        return minute < self.end_minute and self._on(yesterday)

    def _on(self, weekday: int) -> bool:
        return not self.weekdays or weekday in self.weekdays


@dataclass(frozen=True, slots=True)
class Threshold:
    """A detection number; the agent may adapt it inside `at_least` to `at_most` where both are given."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """What a rule lets the agent do alone."""

    level: Level = Level.OBSERVE
    least_confidence: float = 0.9
    highest_risk: Risk = Risk.LOW
    budget: Budget | None = None
    quiet_hours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Faults on subjects → the playbooks to try in order, and the delegation."""

    name: str
    faults: frozenset[FaultClass]
    subjects: tuple[str, ...]
    playbooks: tuple[str, ...]
    delegation: Delegation
    selector: Selector = Selector()

    def covers(self, fault: FaultClass, subject: Subject) -> bool:
        """Say whether the rule speaks about this fault on this subject."""
        return fault in self.faults and any(subject.matches(pattern) for pattern in self.subjects)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named, owned, expiring reduction of some rules' level on some endpoints; it never raises one."""

    name: str
    owner: str
    reason: str
    rules: tuple[str, ...]
    level: Level
    expires_at: datetime
    selector: Selector = Selector()


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides, in one value. Rules are tried in order; the first that covers an incident counts."""

    name: str
    revision: int = 0
    semantics: int = SEMANTICS_VERSION
    description: str = ""
    selector: Selector = Selector()
    priority: int = 0
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    not_after: datetime | None = None

    def threshold(self, name: str) -> float:
        """Return a threshold's value, or the catalogue's default; KeyError for a name that does not exist."""
        return self.thresholds[name].value if name in self.thresholds else THRESHOLDS[name].default


# What an agent decides by before it has accepted a policy: it watches and says what it sees.
NO_POLICY = Policy(name="none", description="No policy was accepted yet: observe only.")
