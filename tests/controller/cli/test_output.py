import csv
import io
import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from homeostat_controller.cli.output import Column, Format, clean, console, moment, reach, words, write, write_one

COLUMNS = (Column("NAME", "name"), Column("STATUS", "status"), Column("POLICY", "policy.name"), Column("N", "n"))
HOSTILE = "\x1b]0;owned\x07[bold red]x[/]\u202egnp.exe\x9b31m\nweb-2  ok"
ITEMS: list[dict[str, Any]] = [
    {"name": "web-1", "status": "ok", "policy": {"name": "demo"}, "n": 1, "labels": {"role": "web"}},
    {"name": HOSTILE, "status": "=HYPERLINK(1)", "policy": None, "n": -2, "labels": {}},
]


def written(how: Format, items: list[dict[str, Any]] = ITEMS) -> str:
    stream = io.StringIO()
    write(items, COLUMNS, how, stream)
    return stream.getvalue()


@pytest.mark.parametrize("how", list(Format))
def test_no_control_character_of_an_endpoint_reaches_the_terminal(how: Format) -> None:
    text = written(how) if how is not Format.CSV else ""  # CSV is for programs and keeps what it is given
    assert not set(text) & {"\x1b", "\x07", "\u202e", "\x9b"}


def test_a_table_has_one_line_for_each_item_and_no_markup() -> None:
    lines = written(Format.TABLE).splitlines()
    assert len(lines) == 1 + len(ITEMS)
    assert lines[0].split() == ["NAME", "STATUS", "POLICY", "N"]
    assert "[bold red]x[/]" in lines[2]


def test_json_and_yaml_hold_the_whole_items() -> None:
    assert json.loads(written(Format.JSON)) == ITEMS
    assert YAML(typ="safe").load(written(Format.YAML)) == ITEMS


def test_csv_holds_the_columns_and_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(written(Format.CSV))))
    assert rows[0] == ["name", "status", "policy.name", "n"]
    assert rows[1] == ["web-1", "ok", "demo", "1"]
    assert rows[2][1:] == ["'=HYPERLINK(1)", "", "-2"]


def test_one_thing_as_lines() -> None:
    stream = io.StringIO()
    write_one(ITEMS[0], COLUMNS, Format.TABLE, stream)
    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["NAME", "web-1"],
        ["STATUS", "ok"],
        ["POLICY", "demo"],
        ["N", "1"],
    ]


def test_one_thing_in_other_formats() -> None:
    for how in (Format.JSON, Format.CSV, Format.YAML):
        stream = io.StringIO()
        write_one(ITEMS[0], COLUMNS, how, stream)
        assert "web-1" in stream.getvalue()


def test_no_colour_where_nobody_sees_it() -> None:
    assert "\x1b" not in written(Format.TABLE, ITEMS[:1])
    assert console(io.StringIO()).width == 200


def test_values_as_words() -> None:
    told = [words(one) for one in (None, "", True, False, 0.123456, {"a": 1, "b": "x"}, ["a", 2], [], {}, 7)]
    assert told == ["-", "-", "yes", "no", "0.1235", "a=1, b=x", "a, 2", "-", "-", "7"]
    assert moment("2026-03-01T12:00:05.123Z") == "2026-03-01 12:00:05Z"
    assert moment(None) == "-"
    assert reach({"a": {"b": 1}}, "a.b") == 1
    assert reach({"a": None}, "a.b") is None
    assert clean("é\n") == "é\n"
