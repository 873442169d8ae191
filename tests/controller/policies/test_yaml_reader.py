from math import isnan

import pytest

from homeostat_controller.policies import yaml_reader
from homeostat_controller.policies.yaml_reader import Place, plain, read


def told(source: str | bytes) -> list[str]:
    return [str(one) for one in read(source).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("on", "on"),
        ("12", 12),
        ("-007", -7),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("2.", 2.0),
        ("22:00", "22:00"),
        ("2030-01-31", "2030-01-31"),
        ("9" * 400, float("inf")),
        ("٣", "٣"),
    ],
)
def test_an_unquoted_scalar_means(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_not_a_number_is_a_number_that_the_shape_refuses() -> None:
    assert isnan(plain(".NaN"))


def test_quotes_make_a_text() -> None:
    assert read("a: \"1\"\nb: '1'\nc: |\n  1\n").data == {"a": "1", "b": "1", "c": "1\n"}


def test_every_key_and_value_has_its_place() -> None:
    reading = read("a:\n  - x: 1\n    y:\nb: 2\n")
    assert reading.data == {"a": [{"x": 1, "y": None}], "b": 2}
    assert reading.places == {
        (): Place((1, 1), (1, 1)),
        ("a",): Place((1, 1), (2, 3)),
        ("a", 0): Place((2, 5), (2, 5)),
        ("a", 0, "x"): Place((2, 5), (2, 8)),
        ("a", 0, "y"): Place((3, 5), (3, 5)),
        ("b",): Place((4, 1), (4, 4)),
    }


def test_what_is_not_there_has_the_place_of_what_is_around_it() -> None:
    reading = read("a:\n  - x: 1\n")
    assert reading.place(("a", 0, "z", 4)) == (("a", 0), Place((2, 5), (2, 5)))
    assert read("").place(("a",)) == ((), Place((1, 1), (1, 1)))


def test_the_bytes_are_bounded() -> None:
    at_the_bound = b"# " + b"x" * (yaml_reader.BYTES_MAX - 7) + b"\na: 1"
    assert len(at_the_bound) == yaml_reader.BYTES_MAX
    assert read(at_the_bound).data == {"a": 1}
    assert told(at_the_bound + b"1") == [f"1:1 the policy has {yaml_reader.BYTES_MAX + 1} bytes; 262144 are allowed"]
    assert "bytes; 262144 are allowed" in told("é" * yaml_reader.BYTES_MAX)[0]


def test_the_depth_is_bounded() -> None:
    levels = yaml_reader.DEPTH_MAX
    assert read("[" * levels + "1" + "]" * levels).whole
    assert told("[" * (levels + 1) + "1" + "]" * (levels + 1)) == ["1:14 is nested more than 12 levels deep"]


def test_the_number_of_values_is_bounded() -> None:
    assert read("[" + "1, " * (yaml_reader.NODES_MAX - 2) + "1]").whole
    reading = read("[" + "1, " * (yaml_reader.NODES_MAX - 1) + "1]")
    assert not reading.whole
    assert reading.problems[0].sentence == "has more than 20000 values"


def test_the_length_of_a_key_is_bounded() -> None:
    assert read("a" * yaml_reader.KEY_CHARACTERS_MAX + ": 1").whole
    assert told("a" * (yaml_reader.KEY_CHARACTERS_MAX + 1) + ": 1") == ["1:1 a key of 201 characters; 200 are allowed"]


def test_a_key_is_a_text() -> None:
    assert read("5: 1\ntrue: 2\n").data == {"5": 1, "true": 2}
    assert told("{a: 1}: 2") == ["1:1 a key must be a text; quote what begins with '[', '{' or '*'"]
    assert told(": 2") == ["1:1 a key is empty"]


def test_the_first_of_two_keys_counts_for_what_follows() -> None:
    reading = read("a: 1\na: {b: 2}\n")
    assert reading.data == {"a": 1}
    assert reading.broken == set()
    assert told("a: 1\na: 2\n") == ["2:1 'a' is there twice, first in line 1"]


def test_indirection_is_refused_where_it_is_written() -> None:
    reading = read("a: &x 1\nb: *x\nc: !y z\n&k d: 1\n")
    assert [one.line for one in reading.problems] == [1, 2, 3, 4]
    assert reading.data == {"a": 1, "b": None, "c": "z", "d": 1}
    assert reading.broken == {("b",), ("c",)}


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (b"a: 1\nb: \xff", "2:4 is not UTF-8"),
        ("a: 1\r\nb: \x07", "2:4 a character that a policy cannot hold (U+0007)"),
        ("a: \ud800", "1:4 a character that a policy cannot hold (U+D800)"),
        ("", "1:1 is empty"),
        ("# only a remark\n", "1:1 is empty"),
        ("a: ]", "1:4 is no YAML: expected the node content, but found ']'"),
        ("a: 1\n---\n", "2:1 a second document begins here"),
        ("a: &", "1:5 a value cannot begin with '&'"),
        ("a: - b", "1:4 a list begins on a line of its own"),
    ],
)
def test_syntax(source: str | bytes, place: str) -> None:
    problems = told(source)
    assert len(problems) == 1
    assert problems[0].startswith(place)


def test_a_text_is_read_in_reasonable_time_whatever_it_nests() -> None:
    for opening in "[{":
        assert not read(opening * 250_000).whole
    for opening in ("- ", "? "):
        assert not read(opening * 100_000).whole
