"""The shape of a policy's YAML document, and the policy that a well-shaped one stands for.

Types are strict: nothing is turned into something else silently. Whether names exist and numbers make sense is asked by
`policy_check` afterwards, so that there is one judge for the controller and for every endpoint.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, PlainValidator
from pydantic_core import PydanticCustomError

from homeostat import policy
from homeostat.catalogue import Risk
from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.policy_values import DAY_MINUTES, UNITS, shown, unknown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DURATION = re.compile(r"(?:[0-9]{1,15}(?:us|ms|[smhd]))+", re.ASCII)
_DURATION_PART = re.compile(r"([0-9]+)([a-z]+)", re.ASCII)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})", re.ASCII)

Word = TypeVar("Word", bound=StrEnum)
Rank = TypeVar("Rank", bound=IntEnum)


def wrong(sentence: str) -> PydanticCustomError:
    """Return the error that carries a sentence of ours through pydantic."""
    return PydanticCustomError("policy", "{sentence}", {"sentence": sentence})


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        hint = f"; did you mean {value}s?" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise wrong(f"must be a duration such as 30s, 10m, 1h or 7d{hint}")
    try:
        return sum((int(count) * UNITS[unit] for count, unit in _DURATION_PART.findall(value)), timedelta())
    except OverflowError:
        raise wrong("is longer than any duration can be") from None


def _minute(value: Any) -> int:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    minute = int(found[1]) * 60 + int(found[2]) if found else -1
    if found is None or int(found[2]) > 59 or minute > DAY_MINUTES:
        raise wrong('must be a time of day such as "22:00"')
    return minute


def _moment(value: Any) -> datetime:
    try:
        if isinstance(value, str) and len(value) > len("2030-01-31"):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise wrong("must be a date and time with its zone, such as 2030-01-31T00:00:00Z")


def _fault(value: Any) -> FaultClass:
    if isinstance(value, str) and value in set(FaultClass):
        return FaultClass(value)
    raise wrong(_no_word("fault", value, FaultClass))


def _day(value: Any) -> int:
    if value in DAYS:
        return DAYS.index(value) + 1
    raise wrong(_no_word("day", value, DAYS))


def _rank(kind: type[Rank], what: str) -> Callable[[Any], Rank]:
    words = {one.name.lower(): one for one in kind}

    def parse(value: Any) -> Rank:
        if isinstance(value, str) and value in words:
            return words[value]
        raise wrong(_no_word(what, value, words))

    return parse


def _no_word(what: str, value: Any, known: Iterable[str]) -> str:
    if not isinstance(value, str):
        return f"must be a {what}; there are: {', '.join(known)}"
    if "," in value:
        return f"{shown(value)} is one text; write a list: [{value[:60]}]"
    return unknown(what, value, known)


def _listed(value: Any) -> Any:
    """One entry may be written without the list around it."""
    return value if isinstance(value, list | dict) else [value]


def _ranged(value: Any) -> Any:
    """A threshold without a range may be written as its number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"value": value}
    if isinstance(value, dict) or value is None:
        return value
    raise wrong("must be a number without unit, or a mapping of value, at_least and at_most")


Duration = Annotated[timedelta, PlainValidator(_duration, json_schema_input_type=str)]
Minute = Annotated[int, PlainValidator(_minute, json_schema_input_type=str)]
Moment = Annotated[datetime, PlainValidator(_moment, json_schema_input_type=str)]
Fault = Annotated[FaultClass, PlainValidator(_fault, json_schema_input_type=FaultClass)]
Day = Annotated[int, PlainValidator(_day, json_schema_input_type=str)]
LevelWord = Annotated[policy.Level, PlainValidator(_rank(policy.Level, "level"), json_schema_input_type=str)]
RiskWord = Annotated[Risk, PlainValidator(_rank(Risk, "risk"), json_schema_input_type=str)]
Texts = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Faults = Annotated[list[Fault], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Days = Annotated[list[Day], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Labels = dict[str, Texts]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BudgetDocument(_Strict):
    """A count in a period."""

    count: int
    per: Duration

    def budget(self) -> policy.Budget:
        """Return what it stands for."""
        return policy.Budget(self.count, self.per)


class LimitsDocument(_Strict):
    """Limits of the endpoint as a whole."""

    actions: BudgetDocument | None = None
    failures: BudgetDocument | None = None
    repeats: BudgetDocument | None = None

    def limits(self) -> policy.Limits:
        """Return what it stands for; a limit that is left out has its default."""
        return policy.Limits(
            **{
                key: one.budget()
                for key in type(self).model_fields
                if isinstance(one := getattr(self, key), BudgetDocument)
            }
        )


class SelectDocument(_Strict):
    """Which endpoints."""

    labels: Labels = {}

    def selector(self) -> policy.Selector:
        """Return what it stands for."""
        return _selector(self.labels)


class ThresholdDocument(_Strict):
    """A number and the range within which it may be adapted."""

    value: FiniteFloat
    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None


class PlaybookDocument(_Strict):
    """How one action is carried out."""

    action: str
    parameters: dict[str, FiniteFloat] = {}
    verifier: str = ""
    settle: Duration = timedelta()
    verify_within: Duration = timedelta(seconds=30)

    def playbook(self, name: str) -> Playbook:
        """Return what it stands for."""
        return Playbook(name, self.action, self.parameters, self.settle, self.verify_within, self.verifier)


class WhenDocument(_Strict):
    """Which incidents a rule is about."""

    fault: Faults
    subject: Texts
    labels: Labels = {}


class RuleDocument(_Strict):
    """Faults on subjects, what to do about them, and how far the agent is trusted with it."""

    name: str
    when: WhenDocument
    do: Texts = []
    level: LevelWord
    least_confidence: FiniteFloat = policy.Delegation().least_confidence
    highest_risk: RiskWord = policy.Delegation().highest_risk
    budget: BudgetDocument | None = None
    quiet_hours: Texts = []

    def rule(self) -> policy.Rule:
        """Return what it stands for."""
        delegation = policy.Delegation(
            level=self.level,
            least_confidence=self.least_confidence,
            highest_risk=self.highest_risk,
            budget=self.budget.budget() if self.budget is not None else None,
            quiet_hours=tuple(self.quiet_hours),
        )
        when = self.when
        return policy.Rule(
            name=self.name,
            faults=frozenset(when.fault),
            subjects=tuple(when.subject),
            playbooks=tuple(self.do),
            delegation=delegation,
            selector=_selector(when.labels),
        )


class QuietHoursDocument(_Strict):
    """A daily interval in the endpoint's local time."""

    from_: Minute = Field(alias="from")
    to: Minute
    days: Days = []

    def quiet_hours(self, name: str) -> policy.QuietHours:
        """Return what it stands for."""
        return policy.QuietHours(name, self.from_, self.to, frozenset(self.days))


class WaiverDocument(_Strict):
    """A named, owned, expiring reduction of some rules' level."""

    name: str
    owner: str
    reason: str
    rules: Texts
    level: LevelWord
    expires_at: Moment
    select: SelectDocument = SelectDocument()

    def waiver(self) -> policy.Waiver:
        """Return what it stands for."""
        return policy.Waiver(
            name=self.name,
            owner=self.owner,
            reason=self.reason,
            rules=tuple(self.rules),
            level=self.level,
            expires_at=self.expires_at,
            selector=self.select.selector(),
        )


class PolicyDocument(_Strict):
    """The whole document. It holds neither revision nor semantics: those are given at publication."""

    name: str
    description: str = ""
    select: SelectDocument = SelectDocument()
    priority: int = 0
    not_after: Moment | None = None
    thresholds: dict[str, Annotated[ThresholdDocument, BeforeValidator(_ranged)]] = {}
    playbooks: dict[str, PlaybookDocument] = {}
    rules: list[RuleDocument] = []
    limits: LimitsDocument = LimitsDocument()
    quiet_hours: dict[str, QuietHoursDocument] = {}
    waivers: list[WaiverDocument] = []

    def policy(self) -> policy.Policy:
        """Return what it stands for, which `policy_check` has yet to judge."""
        return policy.Policy(
            name=self.name,
            description=self.description,
            selector=self.select.selector(),
            priority=self.priority,
            playbooks={name: one.playbook(name) for name, one in self.playbooks.items()},
            rules=tuple(one.rule() for one in self.rules),
            limits=self.limits.limits(),
            quiet_hours={name: one.quiet_hours(name) for name, one in self.quiet_hours.items()},
            thresholds={
                name: policy.Threshold(name, one.value, one.at_least, one.at_most)
                for name, one in self.thresholds.items()
            },
            waivers=tuple(one.waiver() for one in self.waivers),
            not_after=self.not_after,
        )


def _selector(labels: Mapping[str, list[str]]) -> policy.Selector:
    return policy.Selector({key: tuple(values) for key, values in labels.items()})
