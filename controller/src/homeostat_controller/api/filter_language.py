"""The one search box's language: `status:ok -site:lyon os:debian last_seen:<1h`, for API, command line and console.

Pure: text in, a Filter or a FilterError with a position out. Nothing that parses can fail later: values are already of
their field's kind.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType

FILTER_CHARACTERS_MAX = 500
TERMS_MAX = 20
VALUES_MAX = 50
# Longer than any fleet lives; also keeps `now - age` a valid date.
AGE_DAYS_MAX = 3650
LABEL_PREFIX = "label."
_UNITS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800})
_TO_QUOTE = frozenset(' \t\n",')


class Kind(StrEnum):
    """What a field's values are."""

    TEXT = "text"
    CHOICE = "choice"
    AGE = "age"
    NUMBER = "number"


class Operator(StrEnum):
    """How a value is held against a field. An age `<1h` means: less than an hour ago."""

    IS = ""
    AT_MOST = "<="
    AT_LEAST = ">="
    BELOW = "<"
    ABOVE = ">"


@dataclass(frozen=True, slots=True)
class Field:
    """One name that may stand before the colon."""

    name: str
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()


Value = str | float | timedelta


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; any of `values` is enough. An empty `field` is a bare word."""

    field: str
    values: tuple[Value, ...]
    operator: Operator = Operator.IS
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """All terms must hold; no term selects everything."""

    terms: tuple[Term, ...] = ()


class FilterError(ValueError):
    """A filter that cannot be read: why, at which character (from 0), and what to write instead."""

    def __init__(self, why: str, position: int, instead: str) -> None:
        super().__init__(why)
        self.why = why
        self.position = position
        self.instead = instead


ENDPOINT_FIELDS = (
    Field("name"),
    Field("status", Kind.CHOICE, ("ok", "degraded", "healing", "waiting", "observing", "unknown", "offline")),
    Field("standing", Kind.CHOICE, ("active", "frozen", "revoked")),
    Field("organisation"),
    Field("site"),
    Field("group"),
    Field("os"),
    Field("agent"),
    Field("policy"),
    Field("last_seen", Kind.AGE),
    Field("open_incidents", Kind.NUMBER),
)
INCIDENT_FIELDS = (
    Field("endpoint"),
    Field("endpoint_id"),
    Field("fault"),
    Field("subject"),
    Field(
        "status", Kind.CHOICE, ("open", "waiting", "closed", "healed", "rolled-back", "unverified", "failed", "refused")
    ),
    Field("decision", Kind.CHOICE, ("act", "ask", "shadow", "observe", "escalate")),
    Field("site"),
    Field("group"),
    Field("opened", Kind.AGE),
    Field("closed", Kind.AGE),
    Field("confidence", Kind.NUMBER),
)
APPROVAL_FIELDS = (
    Field("endpoint"),
    Field("endpoint_id"),
    Field("incident"),
    Field("playbook"),
    Field("status", Kind.CHOICE, ("waiting", "approved", "used", "denied", "expired", "void")),
    Field("risk", Kind.CHOICE, ("low", "medium", "high")),
    Field("site"),
    Field("group"),
    Field("created", Kind.AGE),
)


def parse(text: str, fields: tuple[Field, ...]) -> Filter:
    """Read a filter over `fields`; `label.NAME:value` is always allowed.

    Raises FilterError, also beyond FILTER_CHARACTERS_MAX, TERMS_MAX and VALUES_MAX.
    """
    if len(text) > FILTER_CHARACTERS_MAX:
        raise FilterError(
            f"The filter has {len(text)} characters; {FILTER_CHARACTERS_MAX} are allowed.",
            FILTER_CHARACTERS_MAX,
            "Use fewer terms, or `*` inside a value.",
        )
    terms = tuple(_term(word, start, fields) for start, word in _words(text))
    if len(terms) > TERMS_MAX:
        raise FilterError(f"The filter has {len(terms)} terms; {TERMS_MAX} are allowed.", 0, "Use fewer terms.")
    return Filter(terms)


def write(wanted: Filter) -> str:
    """Return the text that parses to `wanted`."""
    return " ".join(_written(term) for term in wanted.terms)


def _words(text: str) -> Iterator[tuple[int, str]]:
    """Split at blanks outside quotes; yield where each word starts."""
    start, quoted = 0, False
    for index, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character.isspace() and not quoted:
            if index > start:
                yield start, text[start:index]
            start = index + 1
    if quoted:
        raise FilterError("A quotation mark is not closed.", text.rindex('"'), 'Write it as "two words".')
    if start < len(text):
        yield start, text[start:]


def _term(word: str, start: int, fields: tuple[Field, ...]) -> Term:
    negated = word.startswith("-") and len(word) > 1
    body, position = (word[1:], start + 1) if negated else (word, start)
    name, colon, rest = ("", "", body) if body.startswith('"') else body.partition(":")
    if not colon:
        return Term("", (_unquoted(body, position),), negated=negated)
    field = _field(name, position, fields)
    position += len(name) + 1
    operator = next((one for one in Operator if one and rest.startswith(one)), Operator.IS)
    _check_operator(field, operator, position)
    rest, position = rest[len(operator) :], position + len(operator)
    parts = list(_alternatives(rest, position))
    if len(parts) > VALUES_MAX:
        raise FilterError(f"{field.name} has {len(parts)} values; {VALUES_MAX} are allowed.", position, "Use `*`.")
    values = tuple(_READERS[field.kind](field, _unquoted(part, at), at) for at, part in parts)
    return Term(field.name, values, operator, negated)


def _field(name: str, position: int, fields: tuple[Field, ...]) -> Field:
    if name.startswith(LABEL_PREFIX) and len(name) > len(LABEL_PREFIX):
        return Field(name)
    found = next((field for field in fields if field.name == name), None)
    if found is not None:
        return found
    names = [field.name for field in fields]
    close = get_close_matches(name, names, n=1)
    instead = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(names)}, or {LABEL_PREFIX}NAME."
    raise FilterError(f"There is no field {name!r} to filter by.", position, instead)


def _check_operator(field: Field, operator: Operator, position: int) -> None:
    if field.kind in (Kind.TEXT, Kind.CHOICE) and operator is not Operator.IS:
        raise FilterError(f"{field.name} is a text: {operator} does not apply.", position, f"Write {field.name}:VALUE.")
    if field.kind is Kind.AGE and operator is Operator.IS:
        raise FilterError(f"{field.name} is an age: say on which side.", position, f"Write {field.name}:<1h or :>7d.")


def _alternatives(text: str, position: int) -> Iterator[tuple[int, str]]:
    start, quoted = 0, False
    for index, character in enumerate(text):
        quoted ^= character == '"'
        if character == "," and not quoted:
            yield position + start, text[start:index]
            start = index + 1
    yield position + start, text[start:]


def _unquoted(text: str, position: int) -> str:
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if '"' in inner:
        raise FilterError(
            "A quotation mark stands inside a value.", position, "Quote the whole value, or leave it out."
        )
    if not inner:
        raise FilterError("A value is missing.", position, "Write one after the colon.")
    return inner


def _text(field: Field, text: str, position: int) -> str:
    del field, position
    return text


def _choice(field: Field, text: str, position: int) -> str:
    if text.lower() in field.choices:
        return text.lower()
    close = get_close_matches(text.lower(), field.choices, n=1)
    instead = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(field.choices)}."
    raise FilterError(f"{field.name} is never {text!r}.", position, instead)


def _age(field: Field, text: str, position: int) -> timedelta:
    count, unit = text[:-1], text[-1]
    if not (count.isascii() and count.isdigit() and unit in _UNITS):
        raise FilterError(f"{text!r} is not an age.", position, f"Write {field.name}:<30m; units are s, m, h, d, w.")
    seconds = int(count) * _UNITS[unit]
    if seconds > AGE_DAYS_MAX * _UNITS["d"]:
        raise FilterError(f"{text} is longer than {AGE_DAYS_MAX} days.", position, "Write a shorter age.")
    return timedelta(seconds=seconds)


def _number(field: Field, text: str, position: int) -> float:
    plain = text.removeprefix("-")
    if not (plain.isascii() and plain.replace(".", "", 1).isdigit()):
        raise FilterError(f"{text!r} is not a number.", position, f"Write {field.name}:>0.5.")
    return float(text)


_READERS: Mapping[Kind, Callable[[Field, str, int], Value]] = MappingProxyType(
    {Kind.TEXT: _text, Kind.CHOICE: _choice, Kind.AGE: _age, Kind.NUMBER: _number}
)


def _written(term: Term) -> str:
    sign = "-" if term.negated else ""
    head = f"{term.field}:{term.operator}" if term.field else ""
    return sign + head + ",".join(_written_value(value, bare=not term.field) for value in term.values)


def _written_value(value: Value, *, bare: bool) -> str:
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())}s"
    if isinstance(value, float):
        return f"{value:f}".rstrip("0").removesuffix(".") if abs(value) < 1e15 else f"{value:.0f}"  # no exponent
    special = value[0] in "-<>=" or (bare and ":" in value) or any(c.isspace() or c in _TO_QUOTE for c in value)
    return f'"{value}"' if special else value
