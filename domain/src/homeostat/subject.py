"""What an incident is about: one named thing on an endpoint, written `kind:name`, and the patterns over such texts.

Names are what the endpoint's own configuration allows: lower-case letters, digits, '.', '_', '@' and '-', beginning
with a letter or digit. What is said here about patterns (`can_match`, `pattern_covers`) is about such names only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from string import ascii_lowercase, digits

_FIRST_CHARACTERS = frozenset(ascii_lowercase + digits)
_NAME_CHARACTERS = _FIRST_CHARACTERS | frozenset("._@-")
_ALPHABET = _NAME_CHARACTERS | {":"}
_ALONE = {character: frozenset(character) for character in _ALPHABET}
# Answers that are kept, since a check asks the same thing several times over.
_ANSWERS_KEPT_MAX = 512


class SubjectKind(StrEnum):
    """The kinds of thing that can need care."""

    SERVICE = "service"
    PROCESS = "process"
    FOLDER = "folder"
    FILE = "file"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A declared object of the endpoint, by the name that its own configuration gives it."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def matches(self, pattern: str) -> bool:
        """Say whether a shell-style pattern over `kind:name` covers this subject."""
        return fnmatchcase(str(self), pattern)


ENDPOINT = Subject(SubjectKind.ENDPOINT, "self")

# One place in a pattern: the characters it stands for, or None for a star.
_Token = frozenset[str] | None


@lru_cache(maxsize=_ANSWERS_KEPT_MAX)
def can_match(pattern: str, kind: SubjectKind) -> bool:
    """Say whether any subject of this kind could match the pattern."""
    if kind is SubjectKind.ENDPOINT:
        return ENDPOINT.matches(pattern)
    tokens = _tokens(pattern)
    places = _over_stars(tokens, {0})
    for character in f"{kind}:":
        places = _step(tokens, places, frozenset(character))
    places = _step(tokens, places, _FIRST_CHARACTERS)
    reached: set[int] = set()
    while not places <= reached:
        reached |= places
        places = _step(tokens, places, _NAME_CHARACTERS)
    return len(tokens) in reached


def pattern_covers(wide: str, narrow: str) -> bool:
    """Say whether everything that `narrow` matches is surely matched by `wide` too.

    A yes is certain; in contrived cases, such as `*a` against `a*a`, the answer may be no though it could be yes.
    """
    if wide == narrow:
        return True
    if not narrow.startswith(_literal_start(wide)):
        return False
    return _covers(_tokens(wide), _tokens(narrow))


def _covers(wide: tuple[_Token, ...], narrow: tuple[_Token, ...]) -> bool:
    """Fill a table from the ends: row `i` says which tails of `wide` cover the tail of `narrow` from `i` on."""
    row = _stars_to_end(wide)
    for token in reversed(narrow):
        longer = [False] * (len(wide) + 1)
        for at in reversed(range(len(wide))):
            mine = wide[at]
            if mine is None:
                longer[at] = longer[at + 1] or row[at]
            else:
                longer[at] = token is not None and token <= mine and row[at + 1]
        row = longer
    return row[0]


def _stars_to_end(tokens: tuple[_Token, ...]) -> list[bool]:
    return [all(token is None for token in tokens[at:]) for at in range(len(tokens) + 1)]


def _literal_start(pattern: str) -> str:
    end = next((at for at, character in enumerate(pattern) if character in "*?["), len(pattern))
    return pattern[:end]


def _step(tokens: tuple[_Token, ...], places: Iterable[int], characters: frozenset[str]) -> set[int]:
    """Return where a match can stand after one of `characters` more."""
    after: set[int] = set()
    for place in places:
        if place == len(tokens):
            continue
        token = tokens[place]
        if token is None:
            after.add(place)
        elif token & characters:
            after.add(place + 1)
    return _over_stars(tokens, after)


def _over_stars(tokens: tuple[_Token, ...], places: Iterable[int]) -> set[int]:
    reached: set[int] = set()
    for start in places:
        place = start
        reached.add(place)
        while place < len(tokens) and tokens[place] is None:
            place += 1
            reached.add(place)
    return reached


@lru_cache(maxsize=_ANSWERS_KEPT_MAX)
def _tokens(pattern: str) -> tuple[_Token, ...]:
    return tuple(_token(part) for part in _parts(pattern))


def _parts(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        end = _class_end(pattern, at) if pattern[at] == "[" else at + 1
        yield pattern[at:end]
        at = end


def _class_end(pattern: str, at: int) -> int:
    """Return where the character class that begins at `at` is over; a bracket without its end stands for itself."""
    first = at + 2 if pattern[at + 1 : at + 2] == "!" else at + 1
    end = pattern.find("]", first + 1)
    return at + 1 if end < 0 else end + 1


def _token(part: str) -> _Token:
    if part == "*":
        return None
    if part == "?":
        return _ALPHABET
    if len(part) == 1:
        return _ALONE.get(part, frozenset())
    return frozenset(character for character in _ALPHABET if fnmatchcase(character, part))
