"""How results are written: aligned columns for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp


def clean(text: object) -> str:
    """Return a text without control characters: what comes from files and programs must not drive a terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


def moment(stamp: Timestamp) -> str:
    """Return a time as ISO 8601 in UTC, or nothing where there is none."""
    if not stamp.seconds and not stamp.nanos:
        return ""
    return datetime.fromtimestamp(stamp.seconds, UTC).replace(microsecond=stamp.nanos // 1000).isoformat()


def write_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], how: str) -> None:
    """Write a list: JSON holds everything, a table the named columns."""
    if how == "json":
        print(json.dumps(rows, indent=1))
        return
    table = [[name.upper().replace("_", " ") for name in columns]]
    table += [[clean(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in table) for place in range(len(columns))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def write_one(row: Mapping[str, Any], how: str) -> None:
    """Write one thing: a line for each of its values."""
    if how == "json":
        print(json.dumps(row, indent=1))
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        title = f"{name.replace('_', ' '):<{width}}"
        if isinstance(value, dict | list):
            print(title.rstrip())
            _write_nested(value, "  ")
        else:
            print(f"{title}  {clean(value)}")


def _write_nested(value: Any, indent: str) -> None:
    """Write what lies inside, one value a line, a list's items with a dash."""
    for name, one in value.items() if isinstance(value, dict) else (("-", one) for one in value):
        title = name if name == "-" else f"{name.replace('_', ' ')}:"
        if isinstance(one, dict | list) and one:
            print(f"{indent}{title}")
            _write_nested(one, indent + "  ")
        else:
            print(f"{indent}{title} {clean(one)}")
