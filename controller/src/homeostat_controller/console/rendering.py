"""From the API's values to HTML. Nothing here asks the store or the clock: every page can be drawn from made-up values.

Invariant: templates escape everything, and an unknown name in one is an error, not an empty place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

# Ages above this are told as a date.
AGE_DAYS_MAX = 14
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_TONES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("ok", "healed", "active", "used", "approved", "done", "running", "low"), "good"),
        **dict.fromkeys(("healing", "open", "current", "offered", "act"), "busy"),
        **dict.fromkeys(("waiting", "degraded", "rolled-back", "unverified", "pending", "medium", "ask"), "wait"),
        **dict.fromkeys(("failed", "offline", "rejected", "revoked", "frozen", "down", "hung", "high", "void"), "bad"),
    }
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page. `csrf` goes into every form; `waiting` counts approvals that wait."""

    title: str
    section: str
    name: str
    csrf: str
    as_of: datetime
    waiting: int = 0
    lab_keys: bool = False


def render(template: str, **values: Any) -> str:
    """Return a page; raises what Jinja2 raises when a template and its values do not fit."""
    return _ENVIRONMENT.get_template(template).render(**values)


def age(at: datetime | None, as_of: datetime) -> str:
    """Say how long ago something was, roughly; a date when it is long ago, "-" when it never was."""
    if at is None:
        return "-"
    seconds = (as_of - at).total_seconds()
    if seconds < 0:
        return f"in {_span(-seconds)}"
    if seconds > AGE_DAYS_MAX * 86_400:
        return at.strftime("%Y-%m-%d")
    return "now" if seconds < 1 else f"{_span(seconds)} ago"


def exactly(at: datetime | None) -> str:
    """Return a time in full, in UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def clock(at: datetime | None) -> str:
    """Return the time of day with milliseconds, for steps that follow each other fast."""
    return at.strftime("%H:%M:%S.") + f"{at.microsecond // 1000:03d}" if at else ""


def took(incident: Any) -> str:
    """Return how long an incident lasted, with as much precision as it deserves; "" while it goes on."""
    if incident.closed_at is None:
        return ""
    seconds = (incident.closed_at - incident.opened_at).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 60 else _span(seconds)


def tone(state: str) -> str:
    """Return the colour class of a state: good, busy, wait, bad or idle."""
    return _TONES.get(state, "idle")


def reading(value: float) -> str:
    """Return a measured number without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def segment(name: str) -> str:
    """Return a name as one segment of an address."""
    return quote(name, safe="")


def _span(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _AGES if seconds >= size), (1, "s"))
    return f"{int(seconds // size)} {unit}"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("homeostat_controller.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(age=age, exactly=exactly, clock=clock, tone=tone, took=took, reading=reading, segment=segment)
    made.globals.update(plural=plural)
    return made


_ENVIRONMENT = _environment()
