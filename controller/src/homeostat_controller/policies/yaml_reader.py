"""A policy's text → plain data, with the place of every key and value.

Only the plain part of YAML is read: mappings, lists, texts, numbers, true, false and null. What makes a text mean more
than it shows (anchors, aliases, tags, merge keys, several documents) is refused, and size, depth and count are capped
before anything is built. Whatever the bytes are, the answer is a value and never an exception.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamStartEvent,
)
from ruamel.yaml.reader import ReaderError

from homeostat.policy_values import Path, shown

BYTES_MAX = 256 << 10
DEPTH_MAX = 12
NODES_MAX = 20_000
# A name or a path shorter than this is shown whole; what is longer is no key of ours.
KEY_CHARACTERS_MAX = 200

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.ASCII | re.IGNORECASE)
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip

# What the parser says → what a person can do; the first fragment that occurs counts.
_ADVICE = (
    (r"found character '\t'", "a tab cannot indent; use spaces"),
    ("found character", "a value cannot begin with this character; put it in quotes"),
    ("found unexpected end of stream", "a quote that begins at line {line} is never closed"),
    ("expected ',' or ']'", "the list that begins at line {line} is not closed; add ']' or a missing ','"),
    ("expected ',' or '}'", "the mapping that begins at line {line} is not closed; add '}}' or a missing ','"),
    ("could not find expected ':'", "line {line} is no 'key: value'; a colon and a space are missing"),
    ("mapping values are not allowed", "a second ': ' on this line, or an indentation that fits no line above"),
    ("but found '<block mapping start>'", "the indentation fits no line above"),
    ("but found '<block sequence start>'", "the indentation fits no line above"),
    ("but found '<scalar>'", "text after the end of a value; put the whole value in one pair of quotes"),
    ("but found '?'", "the indentation fits no line above"),
    ("sequence entries are not allowed", "a list begins on a line of its own; start a new line before '- '"),
    ("unknown escape character", "no such escape in double quotes; write two backslashes, or use single quotes"),
    ("while scanning an alias", "a value cannot begin with '*'; put it in quotes"),
    ("while scanning an anchor", "a value cannot begin with '&'; put it in quotes"),
)


@dataclass(frozen=True, slots=True)
class LocatedProblem:
    """What is wrong, where in the text (both from 1, columns in characters), and at which place of the document."""

    line: int
    column: int
    path: Path
    sentence: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column} {self.sentence}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key and its value begin, as line and column from 1; list entries have no key."""

    key: tuple[int, int]
    value: tuple[int, int]


@dataclass(slots=True)
class Reading:
    """What was read; `whole` up to the document's end. `broken` names the paths whose value could not be read."""

    whole: bool = False
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[LocatedProblem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)

    def place(self, path: Path) -> tuple[Path, Place]:
        """Return the place of `path`, or of the nearest part of the document around it."""
        while path and path not in self.places:
            path = path[:-1]
        return path, self.places.get(path, Place((1, 1), (1, 1)))

    def report(self, at: tuple[int, int], path: Path, sentence: str) -> None:
        """Note a problem of the text itself."""
        self.problems.append(LocatedProblem(*at, path, sentence))


class _StoppedError(Exception):
    """What follows in the text is not looked at."""


def read(source: str | bytes) -> Reading:
    """Read a policy's text."""
    reading = Reading()
    text = _decoded(source, reading)
    if text is None:
        return reading
    try:
        _Reader(YAML(typ="safe", pure=True).parse(text), reading).document()
    except _StoppedError:
        pass
    except MarkedYAMLError as error:
        _report_syntax(error, reading)
    except ReaderError as error:
        lines = text[: error.position].split("\n")
        at = (len(lines), len(lines[-1]) + 1)
        reading.report(at, (), f"a character that a policy cannot hold (U+{_code(error.character):04X}); remove it")
    except Exception as error:  # noqa: BLE001  # a fault of the parser must not become a traceback of ours
        reading.report((1, 1), (), f"cannot be read as YAML ({type(error).__name__})")
    return reading


def plain(text: str) -> Any:
    """Return what an unquoted scalar means: null, a truth value, a number or a text (YAML 1.2, core schema)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _decoded(source: str | bytes, reading: Reading) -> str | None:
    size = len(source) if isinstance(source, bytes) else len(source.encode(errors="surrogatepass"))
    if size > BYTES_MAX:
        reading.report((1, 1), (), f"the policy has {size} bytes; {BYTES_MAX} are allowed")
        return None
    if isinstance(source, str):
        return source.removeprefix("\ufeff")
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = source[: error.start].decode(errors="replace").split("\n")
        reading.report((len(before), len(before[-1]) + 1), (), "is not UTF-8; save the file in that encoding")
        return None


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)


def _report_syntax(error: MarkedYAMLError, reading: Reading) -> None:
    said = f"{error.context or ''}: {error.problem or ''}"
    at = _point(error.problem_mark)
    begun = _point(error.context_mark) if error.context_mark is not None else at
    if "could not find expected ':'" in said or "found unexpected end of stream" in said:
        at = begun
    advice = next((advice for fragment, advice in _ADVICE if fragment in said), None)
    sentence = advice.format(line=begun[0]) if advice is not None else f"is no YAML: {error.problem}"
    reading.report(at, (), sentence)


def _text(scalar: Any) -> str:
    """Return a scalar event's text; the parser's classes do not declare what they hold."""
    return str(scalar.value)


def _point(mark: StringMark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


class _Reader:
    """Builds data from the parser's events, one node at a time."""

    def __init__(self, events: Iterator[Event], reading: Reading) -> None:
        self._events = events
        self._reading = reading
        self._nodes = 0

    def document(self) -> None:
        """Read the one document; anything after it is a problem."""
        start = next((event for event in self._events if not isinstance(event, StreamStartEvent)), None)
        if not isinstance(start, DocumentStartEvent):
            self._stop((1, 1), (), "is empty; write at least a name and rules")
        first = next(self._events)
        self._reading.places[()] = Place(_point(first.start_mark), _point(first.start_mark))
        self._reading.data = self._node(first, ())
        self._reading.whole = True
        again = next((event for event in self._events if isinstance(event, DocumentStartEvent)), None)
        if again is not None:
            self._stop(_point(again.start_mark), (), "a second document begins here; a file holds one policy")

    def _node(self, event: Event, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            self._stop(_point(event.start_mark), (), f"has more than {NODES_MAX} values")
        if len(path) > DEPTH_MAX:
            self._stop(_point(event.start_mark), path[:-1], f"is nested more than {DEPTH_MAX} levels deep")
        self._refuse_indirection(event, path)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        if isinstance(event, ScalarEvent):
            return plain(_text(event)) if event.style is None and event.ctag is None else _text(event)
        return None

    def _refuse_indirection(self, event: Event, path: Path) -> None:
        at = _point(event.start_mark)
        if isinstance(event, AliasEvent):
            self._reading.broken.add(path)
            self._reading.report(at, path, "aliases are not read; write the value out, or quote what begins with '*'")
        elif getattr(event, "anchor", None) is not None:
            self._reading.report(at, path, "anchors are not read; remove it, or quote what begins with '&'")
        elif getattr(event, "ctag", None) is not None:
            self._reading.broken.add(path)
            self._reading.report(at, path, "tags are not read; remove it, or quote what begins with '!'")

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event, path)
            value = self._next()
            inside = (*path, key)
            twice = key in found
            if twice:
                line = self._reading.places[inside].key[0]
                self._reading.report(
                    _point(event.start_mark), inside, f"{shown(key)} is there twice, first in line {line}"
                )
            else:
                self._reading.places[inside] = Place(_point(event.start_mark), self._begin(event, value))
            read = self._node(value, inside)
            found[key] = found[key] if twice else read
        return found

    def _key(self, event: Event, path: Path) -> str:
        at = _point(event.start_mark)
        if not isinstance(event, ScalarEvent):
            self._stop(at, path, "a key must be a text; quote what begins with '[', '{' or '*'")
        self._refuse_indirection(event, path)
        key = _text(event)
        if len(key) > KEY_CHARACTERS_MAX:
            self._stop(at, path, f"a key of {len(key)} characters; {KEY_CHARACTERS_MAX} are allowed")
        if not key:
            self._reading.report(at, path, "a key is empty")
        return key

    def _sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            inside = (*path, len(found))
            point = _point(event.start_mark)
            self._reading.places[inside] = Place(point, point)
            found.append(self._node(event, inside))
        return found

    def _begin(self, key: Event, value: Event) -> tuple[int, int]:
        """Return where a value begins; one that was left out has no place but its key's."""
        left_out = isinstance(value, ScalarEvent) and value.style is None and not _text(value)
        return _point(key.start_mark if left_out else value.start_mark)

    def _next(self) -> Event:
        return next(self._events)

    def _stop(self, at: tuple[int, int], path: Path, sentence: str) -> Any:
        self._reading.report(at, path, sentence)
        raise _StoppedError
