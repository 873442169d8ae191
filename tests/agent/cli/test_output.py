import json

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from homeostat_agent.cli import output


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_rows([{"id": "a", "fault": "disk-full"}, {"id": "bcd", "fault": "x"}], ("id", "fault"), "table")
    assert capsys.readouterr().out.splitlines() == ["ID   FAULT", "a    disk-full", "bcd  x"]


def test_json_holds_what_a_table_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_rows([{"id": "a", "more": 1}], ("id",), "json")
    assert json.loads(capsys.readouterr().out) == [{"id": "a", "more": 1}]


def test_one_thing_is_a_line_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_one({"health": "ok", "open_incidents": 0}, "table")
    assert capsys.readouterr().out.splitlines() == ["health          ok", "open incidents  0"]


def test_what_lies_inside_is_written_a_line_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_one({"name": "web", "rules": [{"name": "r", "faults": ["a", "b"]}]}, "table")
    assert capsys.readouterr().out.splitlines() == [
        "name   web",
        "rules",
        "  -",
        "    name: r",
        "    faults:",
        "      - a",
        "      - b",
    ]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert output.clean("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"


def test_a_time_is_iso_utc() -> None:
    assert output.moment(Timestamp(seconds=1_700_000_000, nanos=1_234_567)) == "2023-11-14T22:13:20.001234+00:00"


def test_no_time_is_nothing() -> None:
    assert output.moment(Timestamp()) == ""
