"""What endpoints say about themselves, cut to what the store and a person's screen can take.

Invariant: whatever comes in, what goes out is bounded, has no NUL character and no number that JSON cannot hold.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

LABELS_MAX = 64
LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
LABEL_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 255
TEXT_CHARACTERS_MAX = 2000
ITEMS_MAX = 500
# What places an endpoint; only the controller says it.
PLACE_LABELS = ("organisation", "site", "group")


def labels(said: Mapping[str, str]) -> dict[str, str]:
    """Return the usable labels, at most LABELS_MAX, without those that only the controller gives."""
    usable = ((key, text(value)[:LABEL_CHARACTERS_MAX]) for key, value in sorted(said.items()))
    kept = [(key, value) for key, value in usable if LABEL_KEY.fullmatch(key) and key not in PLACE_LABELS]
    return dict(kept[:LABELS_MAX])


def name(said: str) -> str:
    """Return a name on one line, or "unnamed"."""
    return " ".join(text(said).split())[:NAME_CHARACTERS_MAX] or "unnamed"


def text(said: str) -> str:
    """Return a text without control characters, at most TEXT_CHARACTERS_MAX long."""
    return "".join(one if one.isprintable() else " " for one in said[:TEXT_CHARACTERS_MAX])


def number(said: float) -> float:
    """Return a finite number: what is none becomes 0."""
    return said if isfinite(said) else 0.0


def document(message: Message) -> dict[str, Any]:
    """Return a message as JSON, by its field names, with every list and text bounded."""
    said = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    cleaned: dict[str, Any] = _cleaned(said)
    return cleaned


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return text(value)
        case dict():
            return {text(key): _cleaned(one) for key, one in list(value.items())[:ITEMS_MAX]}
        case list():
            return [_cleaned(one) for one in value[:ITEMS_MAX]]
        case _:
            return value
