"""How results are written: a table for people; JSON, YAML and CSV for programs.

Invariant: no byte that an endpoint supplied reaches the terminal as a control character or as markup.
"""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import IO, Annotated, Any
from unicodedata import category

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Item = Mapping[str, Any]


class Format(StrEnum):
    """The formats of `-o`."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to write the result.", case_sensitive=False)]

# How states are coloured; what is not here stays plain.
_STYLES: Mapping[str, str] = {
    "ok": "green",
    "healed": "green",
    "approved": "green",
    "active": "green",
    "degraded": "red",
    "failed": "red",
    "rejected": "red",
    "offline": "red",
    "rolled-back": "yellow",
    "unverified": "yellow",
    "waiting": "yellow",
    "healing": "blue",
    "open": "blue",
}
# A spreadsheet takes a cell that starts like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the item's key (dots reach inside), and how a table shows the value."""

    heading: str
    key: str
    show: Callable[[Any], str] = lambda value: words(value)


def write(items: Sequence[Item], columns: Sequence[Column], how: Format, to: IO[str] | None = None) -> None:
    """Write a list; CSV holds the columns, JSON and YAML the whole items."""
    to = to or sys.stdout
    match how:
        case Format.TABLE:
            _table(items, columns, to)
        case Format.CSV:
            _csv(items, columns, to)
        case Format.JSON | Format.YAML:
            _document(list(items), how, to)


def write_one(item: Item, columns: Sequence[Column], how: Format, to: IO[str] | None = None) -> None:
    """Write one thing; as a table, one line for each column."""
    to = to or sys.stdout
    match how:
        case Format.TABLE:
            grid = Table.grid(padding=(0, 2))
            for column in columns:
                grid.add_row(Text(column.heading, style="bold"), _cell(column, item))
            console(to).print(grid)
        case Format.CSV:
            _csv([item], columns, to)
        case Format.JSON | Format.YAML:
            _document(item, how, to)


def say(sentence: str) -> None:
    """Tell the person something that is not the result: on stderr, so that pipes stay clean."""
    console(sys.stderr).print(Text(clean(sentence)), soft_wrap=True)


def console(to: IO[str]) -> Console:
    """Return a console that never reads markup; colours only on a terminal and without NO_COLOR."""
    wide = None if to.isatty() else 200  # a pipe has no width; a narrow guess would cut values
    return Console(file=to, markup=False, highlight=False, emoji=False, width=wide)


def clean(text: str) -> str:
    """Return `text` without control, bidirectional and other invisible format characters."""
    return "".join("\ufffd" if category(one) in ("Cc", "Cf", "Cs") and one != "\n" else one for one in text)


def words(value: Any) -> str:
    """Return a value as a person reads it in a cell."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={words(one)}" for key, one in value.items()) or "-"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(words(one) for one in value) or "-"
    return str(value)


def moment(value: Any) -> str:
    """Return a time of the API in UTC, to the second, with its zone."""
    if not value:
        return "-"
    return datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M:%S") + "Z"


def reach(item: Any, key: str) -> Any:
    """Return what lies at a dotted key, None where something on the way is missing."""
    for part in key.split("."):
        item = item.get(part) if isinstance(item, Mapping) else None
    return item


def _table(items: Sequence[Item], columns: Sequence[Column], to: IO[str]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.heading, overflow="fold")
    for item in items:
        table.add_row(*(_cell(column, item) for column in columns))
    console(to).print(table)


def _cell(column: Column, item: Item) -> Text:
    text = clean(column.show(reach(item, column.key))).replace("\n", " ")
    return Text(text, style=_STYLES.get(text, ""))


def _csv(items: Sequence[Item], columns: Sequence[Column], to: IO[str]) -> None:
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for item in items:
        writer.writerow([_field(reach(item, column.key)) for column in columns])


def _field(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, list | dict | bool) else str(value)
    return f"'{value}" if value.startswith(_FORMULA) else value


def _document(value: Any, how: Format, to: IO[str]) -> None:
    if how is Format.JSON:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        to.write("".join(_escaped(one) for one in text) + "\n")
        return
    from ruamel.yaml import YAML  # noqa: PLC0415  # 40 ms that no other format has to pay

    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.allow_unicode = False
    yaml.dump(value, to)


def _escaped(character: str) -> str:
    harmful = category(character) in ("Cc", "Cf", "Cs") and character != "\n"
    return json.dumps(character)[1:-1] if harmful else character
