"""Data against the document's shape: what does not fit, in a person's words, and stand-ins for it.

A stand-in is chosen so that nothing which refers to it looks wrong. Its path is told, so that nothing is said of it.
"""

from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from homeostat.policy_values import Path, unknown
from homeostat_controller.policies import document_models as models
from homeostat_controller.policies.yaml_reader import LocatedProblem, Reading

# Each round gives every part that does not fit a stand-in, whose own parts may be missing in the next: the deepest
# mapping of a document lies three mappings down.
ROUNDS_MAX = 6

# The mappings of a document, by their paths with "*" for any name or position.
_SHAPES: dict[Path, type[BaseModel]] = {
    (): models.PolicyDocument,
    ("select",): models.SelectDocument,
    ("thresholds", "*"): models.ThresholdDocument,
    ("playbooks", "*"): models.PlaybookDocument,
    ("rules", "*"): models.RuleDocument,
    ("rules", "*", "when"): models.WhenDocument,
    ("rules", "*", "budget"): models.BudgetDocument,
    ("limits",): models.LimitsDocument,
    ("limits", "actions"): models.BudgetDocument,
    ("limits", "failures"): models.BudgetDocument,
    ("limits", "repeats"): models.BudgetDocument,
    ("quiet_hours", "*"): models.QuietHoursDocument,
    ("waivers", "*"): models.WaiverDocument,
    ("waivers", "*", "select"): models.SelectDocument,
}

# What stands in for a value that is needed.
_STAND_INS: dict[str, Any] = {
    "name": "",
    "action": "",
    "when": {},
    "fault": [],
    "subject": [],
    "level": "act",
    "count": 1,
    "per": "1s",
    "from": "00:00",
    "to": "00:00",
    "owner": "",
    "reason": "",
    "rules": [],
    "expires_at": "2000-01-01T00:00:00Z",
    "value": 0,
}

_HINTS = {
    "level": " (observe, shadow, ask or act)",
    "when": " (fault and subject)",
    "per": " (such as 1h)",
    "expires_at": " (such as 2030-01-31T00:00:00Z)",
}

_MISFITS = {
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "finite_number": "must be a finite number",
}


def shaped(reading: Reading) -> tuple[models.PolicyDocument | None, list[LocatedProblem]]:
    """Return the document of what was read, with stand-ins where it does not fit, and what does not fit.

    There is no document where the text is no mapping at all. The reading's data is changed.
    """
    problems: list[LocatedProblem] = []
    for _ in range(ROUNDS_MAX):
        try:
            return models.PolicyDocument.model_validate(reading.data), problems
        except ValidationError as error:
            details = error.errors(include_url=False)
        known = reading.broken | {one.path for one in problems}
        fresh = [one for one in details if not any(one["loc"][: len(path)] == path for path in known)]
        problems += [_located(one, reading) for one in _without_misspelt(fresh)]
        if not isinstance(reading.data, dict):
            break
        for detail in reversed(details):  # from the end, so that list positions stay right
            _mend(reading.data, detail)
    return None, problems


def touches(one: Path, other: Path) -> bool:
    """Say whether one path lies at or around the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _located(detail: ErrorDetails, reading: Reading) -> LocatedProblem:
    path, place = reading.place(detail["loc"])
    at = place.key if detail["type"] == "extra_forbidden" and path == detail["loc"] else place.value
    return LocatedProblem(*at, detail["loc"], _sentence(detail))


def _without_misspelt(details: Collection[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out that a key is missing where a misspelt one was surely meant to be it."""
    meant = {
        (*one["loc"][:-1], key)
        for one in details
        if one["type"] == "extra_forbidden"
        for key in _keys(one["loc"][:-1])
        if f"did you mean {key!r}" in _sentence(one)
    }
    return (one for one in details if one["type"] != "missing" or one["loc"] not in meant)


def _sentence(detail: ErrorDetails) -> str:
    kind, key = detail["type"], detail["loc"][-1] if detail["loc"] else ""
    if kind == "missing":
        return f"{str(key)!r} is missing here{_HINTS.get(str(key), '')}"
    if kind == "extra_forbidden":
        return unknown("key", str(key), _keys(detail["loc"][:-1]))
    if detail["input"] is None:
        return "has no value; write one, or remove the key"
    if kind == "policy":
        return detail["msg"]
    return _MISFITS.get(kind, detail["msg"]) + _advice(kind, detail["input"])


def _advice(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, bool | int | float):
        return "; put it in quotes"
    if kind in ("float_type", "int_type") and isinstance(given, str) and given[:1].isdigit():
        return "; write it without quotes or unit"
    if kind == "list_type" and isinstance(given, dict):
        return "; begin each entry with '- '"
    return ""


def _keys(path: Path) -> list[str]:
    shape = _SHAPES[_general(path)]
    return [field.alias or name for name, field in shape.model_fields.items()]


def _needed(path: Path) -> bool:
    """Say whether a key of a mapping must be there; what is no such key, such as an entry's name, need not be."""
    shape = _SHAPES.get(_general(path[:-1]))
    fields = {} if shape is None else {one.alias or name: one for name, one in shape.model_fields.items()}
    return path[-1] in fields and fields[str(path[-1])].is_required()


def _general(path: Path) -> Path:
    return path if path[:1] in ((), ("select",), ("limits",)) else (*path[:1], *("*" for _ in path[1:2]), *path[2:])


def _mend(data: dict[str, Any], detail: ErrorDetails) -> None:
    """Put a stand-in where the shape does not fit, in place."""
    holder, path = _deepest(data, detail["loc"])
    key: Any = path[-1]
    if _needed(path):
        holder[key] = deepcopy(_STAND_INS[key])
    elif len(path) == 2 and path[0] in ("playbooks", "rules", "quiet_hours", "waivers"):
        holder[key] = {}
    else:
        del holder[key]


def _deepest(data: Any, path: Path) -> tuple[Any, Path]:
    """Return the mapping or list that holds the last part of `path`, or the part before it that is neither."""
    for depth, part in enumerate(path[:-1]):
        inner = data[part]
        if not isinstance(inner, dict | list):
            return data, path[: depth + 1]
        data = inner
    return data, path
