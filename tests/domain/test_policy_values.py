from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat import policy_values as values
from homeostat.catalogue import THRESHOLDS
from homeostat.policy import Selector
from homeostat.policy_values import Problem

AT = ("rules", 0)


def told(problems: Iterator[Problem]) -> list[str]:
    return [str(one) for one in problems]


def test_a_problem_reads_as_its_place_and_a_sentence() -> None:
    assert str(Problem(("rules", 2, "when", "fault", 0), "is wrong")) == "rules[2].when.fault[0]: is wrong"
    assert str(Problem(("name",), "is wrong")) == "name: is wrong"
    assert str(Problem((), "is empty")) == "is empty"


@pytest.mark.parametrize("name", ["a", "0", "web-1.x_y@z", "a" * 63])
def test_names(name: str) -> None:
    assert told(values.name(AT, name)) == []


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a\n", "ä", "a" * 64, "٣", "a:b"])
def test_what_is_no_name(name: str) -> None:
    (problem,) = values.name(AT, name, at_key=True)
    assert "is no name; use up to 63 lower-case letters" in problem.sentence
    assert problem.at_key


def test_a_text_is_printable_and_bounded() -> None:
    assert told(values.text(AT, "Ä line\nand\tanother " + "x" * (values.TEXT_CHARACTERS_MAX - 19))) == []
    assert told(values.text(AT, "x" * (values.TEXT_CHARACTERS_MAX + 1))) == [
        "rules[0]: has 1001 characters; 1000 are allowed"
    ]
    for character in ("\x1b", "\x00", "\u202e", "\x7f", "\r"):
        assert told(values.text(AT, f"a{character}b")) == ["rules[0]: holds control characters; use printable text"]


def test_labels() -> None:
    most = {f"key{number}": ("v" * values.LABEL_VALUE_CHARACTERS_MAX,) for number in range(values.NAMES_MAX)}
    assert told(values.labels(AT, Selector(most))) == []
    assert "rules[0]: has 21 entries; 20 are allowed" in told(values.labels(AT, Selector(most | {"one": ("more",)})))


@pytest.mark.parametrize(
    ("key", "chosen", "place", "fragment"),
    [
        ("my key", ("x",), "rules[0].my key", "is no label; use letters"),
        ("", ("x",), "rules[0].", "is no label"),
        ("env", (), "rules[0].env", "has no value"),
        ("env", ("",), "rules[0].env[0]", "must be 1 to 200 printable characters"),
        ("env", ("a", "\x1b"), "rules[0].env[1]", "must be 1 to 200 printable characters"),
        ("env", ("v" * 201,), "rules[0].env[0]", "must be 1 to 200 printable characters"),
        ("env", ("a", "a"), "rules[0].env[1]", "value 'a' is there twice"),
        ("env", tuple(map(str, range(21))), "rules[0].env", "has 21 entries; 20 are allowed"),
    ],
)
def test_labels_that_select_nothing_well(key: str, chosen: tuple[str, ...], place: str, fragment: str) -> None:
    (problem,) = told(values.labels(AT, Selector({key: chosen})))
    assert problem.startswith(f"{place}: ")
    assert fragment in problem


@pytest.mark.parametrize("number", [0, 0.5, 1])
def test_a_number_within_its_bounds(number: float) -> None:
    assert told(values.within(AT, number, 0, 1)) == []


@pytest.mark.parametrize(
    ("number", "shown"), [(-1e-9, "-1e-09"), (2, "2"), (1.5, "1.5"), (float("nan"), "nan"), (float("inf"), "inf")]
)
def test_a_number_outside_its_bounds(number: float, shown: str) -> None:
    assert told(values.within(AT, number, 0, 1)) == [f"rules[0]: is {shown}; it must be from 0 to 1"]


def test_a_number_of_the_catalogue() -> None:
    spec = THRESHOLDS["disk_used_percent"]
    assert told(values.bounded(AT, spec.least, spec)) == told(values.bounded(AT, spec.most, spec)) == []
    for wrong in (49.9, 99.6, float("nan")):
        (problem,) = told(values.bounded(AT, wrong, spec))
        assert "disk_used_percent must be from 50 to 99.5 (percent)" in problem


def test_a_duration() -> None:
    second = timedelta(seconds=1)
    assert told(values.length(AT, second, second, second)) == []
    assert told(values.length(AT, -second, timedelta(), second)) == ["rules[0]: is -1s; it must be from 0s to 1s"]


@pytest.mark.parametrize("year", [2000, 2999])
def test_a_moment(year: int) -> None:
    assert told(values.moment(AT, datetime(year, 1, 1, tzinfo=UTC))) == []


def test_a_moment_needs_a_zone_and_an_ordinary_year() -> None:
    naive = datetime(1999, 12, 31, tzinfo=UTC).replace(tzinfo=None)
    assert [one.split(" ")[1] for one in told(values.moment(AT, naive))] == ["needs", "lies"]
    assert told(values.moment(AT, datetime(3000, 1, 1, tzinfo=UTC))) == [
        "rules[0]: lies in the year 3000; use 2000 to 2999"
    ]


def test_references() -> None:
    assert told(values.references(AT, "playbook", ("a", "b"), ["a", "b"])) == []
    assert told(values.references(AT, "playbook", ("b", "b", "b", "restrat"), ["restart", "b"])) == [
        "rules[0][1]: playbook 'b' is there twice",
        "rules[0][3]: no playbook is called 'restrat' (did you mean 'restart'?); there are: restart, b",
    ]
    many = tuple(f"p{number}" for number in range(values.NAMES_MAX + 1))
    assert told(values.references(AT, "playbook", many[:-1], many)) == []
    assert told(values.references(AT, "playbook", many, many)) == ["rules[0]: has 21 entries; 20 are allowed"]


@pytest.mark.parametrize(
    ("given", "known", "sentence"),
    [
        ("acts", ["ask", "act"], "no level is called 'acts' (did you mean 'act'?); there are: ask, act"),
        ("ACT", ["ask", "act"], "no level is called 'ACT' (did you mean 'act'?); there are: ask, act"),
        ("saturday", ["sat", "sun"], "no level is called 'saturday' (did you mean 'sat'?); there are: sat, sun"),
        ("auto", ["ask"], "no level is called 'auto'; there are: ask"),
        ("x", [], "no level is called 'x'; none is defined"),
        ("", ["ask"], "no level is called ''; there are: ask"),
    ],
)
def test_an_unknown_name(given: str, known: list[str], sentence: str) -> None:
    assert values.unknown("level", given, known) == sentence


def test_long_lists_and_texts_are_cut() -> None:
    names = [f"n{number}" for number in range(23)]
    assert values.listed(names[:20]).endswith(", n19")
    assert values.listed(names).endswith(", n19 and 3 more")
    assert values.shown("a" * 60) == repr("a" * 60)
    assert values.shown("a" * 61) == repr("a" * 59 + "…")
    assert values.shown("\x1b[2J") == "'\\x1b[2J'"


@given(st.text(), st.lists(st.text(), max_size=4))
def test_whatever_was_given_is_harmless_on_a_terminal(name: str, known: list[str]) -> None:
    assert values.shown(name).isprintable()
    assert len(values.unknown("playbook", name, known)) > 0


@given(st.floats(allow_nan=False) | st.integers(-(10**18), 10**18))
def test_a_number_is_written_so_that_it_can_be_told_from_any_other(number: float) -> None:
    written = values.number(number)
    assert (int(written) if isinstance(number, int) else float(written)) == number
    assert not written.endswith(".0")


@pytest.mark.parametrize(
    ("length", "written"),
    [
        (timedelta(), "0s"),
        (timedelta(days=7), "7d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=-90), "-90s"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(microseconds=1), "1us"),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_that_fits(length: timedelta, written: str) -> None:
    assert values.duration(length) == written


def test_the_bounds_are_bounds() -> None:
    problem = Problem(("a",), "b")
    assert replace(problem) == problem
    assert values.PERIOD_LEAST < values.PERIOD_MAX
    assert values.REVISION_MAX == 2**63 - 1
