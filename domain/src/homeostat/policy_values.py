"""What the single values of a policy may be: names, texts, labels, numbers, durations and references.

Each function yields the problems of one value at one place, and nothing for a good one; no value makes any of them
raise. The bounds keep a policy small enough to check, send and decide by on every endpoint.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches

from homeostat.catalogue import Parameter, ThresholdSpec
from homeostat.policy import Selector

Path = tuple[str | int, ...]

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}", re.ASCII)
LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
PATTERN = re.compile(r"[a-z0-9:._@*?\[\]!-]{1,100}", re.ASCII)

RULES_MAX = 200
PLAYBOOKS_MAX = 100
QUIET_HOURS_MAX = 50
WAIVERS_MAX = 100
# The most names, patterns or labels in one list of a rule, a waiver or a selector.
NAMES_MAX = 20
LABEL_VALUE_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 1000
PRIORITY_MAX = 1000
# What every store can keep as a whole number.
REVISION_MAX = 2**63 - 1
COUNT_MAX = 1000
PERIOD_LEAST = timedelta(seconds=1)
# An endpoint's journal keeps its runs for longer than this.
PERIOD_MAX = timedelta(days=31)
SETTLE_MAX = timedelta(minutes=30)
VERIFY_LEAST = timedelta(milliseconds=1)
VERIFY_WITHIN_MAX = timedelta(minutes=30)
DAY_MINUTES = 24 * 60
YEAR_LEAST = 2000
YEAR_MOST = 2999
# Pairs of patterns that are compared in search of rules that never apply; beyond, none is reported.
COMPARISONS_MAX = 20_000
# A text longer than this is cut where a sentence quotes it.
_QUOTED_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a policy: where, as keys and list positions from the document's top, and a sentence.

    `at_key`: the last key of the path is itself wrong, not what it holds. `between`: it lies in how several values of
    this section fit together; each alone may be good.
    """

    path: Path
    sentence: str
    at_key: bool = False
    between: bool = False

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).removeprefix(".")
        return f"{place}: {self.sentence}" if place else self.sentence


def name(path: Path, value: str, *, at_key: bool = False) -> Iterator[Problem]:
    """Check what people and other parts of the document call something by."""
    if not NAME.fullmatch(value):
        rule = "up to 63 lower-case letters, digits, '.', '_', '@' and '-', beginning with a letter or digit"
        yield Problem(path, f"{shown(value)} is no name; use {rule}", at_key=at_key)


def text(path: Path, value: str) -> Iterator[Problem]:
    """Check free text, which ends up on terminals and pages."""
    if len(value) > TEXT_CHARACTERS_MAX:
        yield Problem(path, f"has {len(value)} characters; {TEXT_CHARACTERS_MAX} are allowed")
    if not all(one.isprintable() or one in "\n\t" for one in value):
        yield Problem(path, "holds control characters; use printable text")


def labels(path: Path, selector: Selector) -> Iterator[Problem]:
    """Check the labels that select endpoints."""
    yield from too_many(path, len(selector.matches), NAMES_MAX)
    for key, values in selector.matches.items():
        if not LABEL_KEY.fullmatch(key):
            yield Problem(
                (*path, key), f"{shown(key)} is no label; use letters, digits, '.', '_', '/' and '-'", at_key=True
            )
        if not values:
            yield Problem((*path, key), "has no value, so that no endpoint is selected; name one or remove the label")
        yield from too_many((*path, key), len(values), NAMES_MAX)
        yield from repeated((*path, key), values, "value")
        for at, value in enumerate(values):
            if not value.isprintable() or not 0 < len(value) <= LABEL_VALUE_CHARACTERS_MAX:
                sentence = f"must be 1 to {LABEL_VALUE_CHARACTERS_MAX} printable characters"
                yield Problem((*path, key, at), sentence)


def within(path: Path, value: float, least: float, most: float) -> Iterator[Problem]:
    """Check a number against its bounds; NaN is outside of all bounds."""
    if not least <= value <= most:
        yield Problem(path, f"is {number(value)}; it must be from {number(least)} to {number(most)}")


def bounded(path: Path, value: float, spec: Parameter | ThresholdSpec) -> Iterator[Problem]:
    """Check a number against its entry in the catalogue."""
    if not spec.least <= value <= spec.most:
        bounds = f"from {number(spec.least)} to {number(spec.most)} ({spec.unit})"
        yield Problem(path, f"is {number(value)}; {spec.name} must be {bounds}")


def length(path: Path, value: timedelta, least: timedelta, most: timedelta) -> Iterator[Problem]:
    """Check a duration against its bounds."""
    if not least <= value <= most:
        yield Problem(path, f"is {duration(value)}; it must be from {duration(least)} to {duration(most)}")


def moment(path: Path, value: datetime) -> Iterator[Problem]:
    """Check that a moment says which time zone it is in, and that every endpoint's calendar holds it."""
    if value.utcoffset() is None:
        yield Problem(path, "needs a time zone, such as the Z in 2030-01-31T00:00:00Z")
    if not YEAR_LEAST <= value.year <= YEAR_MOST:
        yield Problem(path, f"lies in the year {value.year}; use {YEAR_LEAST} to {YEAR_MOST}")


def references(path: Path, what: str, used: Sequence[str], known: Collection[str]) -> Iterator[Problem]:
    """Check a list of names that stand for something defined elsewhere in the policy."""
    yield from too_many(path, len(used), NAMES_MAX)
    yield from repeated(path, used, what)
    for at, one in enumerate(used):
        if one not in known:
            yield Problem((*path, at), unknown(what, one, known))


def repeated(path: Path, used: Sequence[str], what: str) -> Iterator[Problem]:
    """Report, at its second place, what stands in a list more than once."""
    seen: Counter[str] = Counter()
    for at, one in enumerate(used):
        seen[one] += 1
        if seen[one] == 2:
            yield Problem((*path, at), f"{what} {shown(one)} is there twice")


def too_many(path: Path, count: int, most: int) -> Iterator[Problem]:
    """Report a collection above its bound."""
    if count > most:
        yield Problem(path, f"has {count} entries; {most} are allowed")


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that does not exist, with the nearest one that does."""
    names = [str(one) for one in known]
    near = _nearest(given[:_QUOTED_CHARACTERS_MAX].lower(), names)
    hint = f" (did you mean {near!r}?)" if near else ""
    there = f"there are: {listed(names)}" if names else "none is defined"
    return f"no {what} is called {shown(given)}{hint}; {there}"


def _nearest(given: str, names: Sequence[str]) -> str:
    close = get_close_matches(given, names, n=1) or [one for one in names if given and given.startswith(one)]
    return close[0] if close else ""


def listed(names: Iterable[str]) -> str:
    """Return names as a person reads them; a long list is cut."""
    ordered = list(names)
    more = f" and {len(ordered) - NAMES_MAX} more" if len(ordered) > NAMES_MAX else ""
    return ", ".join(str(one) for one in ordered[:NAMES_MAX]) + more


def shown(value: str) -> str:
    """Return a text in quotes, harmless on a terminal and not too long."""
    cut = value if len(value) <= _QUOTED_CHARACTERS_MAX else value[: _QUOTED_CHARACTERS_MAX - 1] + "…"
    return repr(cut)


def number(value: float) -> str:
    """Return a number in the fewest digits that tell it from another."""
    return str(int(value)) if isinstance(value, int) or (value.is_integer() and abs(value) < 1e16) else repr(value)


# The largest units first; each is a whole number of the next.
UNITS: Mapping[str, timedelta] = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}


def duration(value: timedelta) -> str:
    """Return a duration as policies write it: a whole number of the largest unit that fits, such as 90s or 24h."""
    if not value:
        return "0s"
    unit, size = next((unit, size) for unit, size in UNITS.items() if not value % size)
    return f"{value // size}{unit}"
