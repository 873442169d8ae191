from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat_agent.config_reading import FILE_BYTES_MAX, INTEGER_MAX, ConfigError, read


@dataclass(frozen=True)
class Part:
    name: str
    place: str
    size: float = 1.5


@dataclass(frozen=True)
class Whole:
    text: str = "default"
    number: int = 7
    share: float = 0.5
    on: bool = False
    words: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    part: tuple[Part, ...] = ()


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "file.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert read(written(tmp_path, ""), Whole) == Whole()


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    text = """
    text = "ä"
    number = -3
    share = 2
    on = true
    words = ["a", "b"]
    [labels]
    role = "web"
    [[part]]
    name = "one"
    place = "here"
    [[part]]
    name = "two"
    place = "there"
    size = 3
    """
    parts = (Part("one", "here"), Part("two", "there", 3.0))
    expected = Whole("ä", -3, 2.0, True, ("a", "b"), {"role": "web"}, parts)
    found = read(written(tmp_path, text), Whole)
    assert found == expected
    assert isinstance(found.share, float)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("txt = 1", "txt: no such setting (known here: labels, number, on, part, share, text, words)"),
        ("text = 1", "text: must be a text"),
        ("number = 1.0", "number: must be a whole number"),
        ("number = true", "number: must be a whole number"),
        (f"number = {INTEGER_MAX + 1}", "number: is too large a number"),
        ("share = 'x'", "share: must be a number"),
        ("share = true", "share: must be a number"),
        ("share = nan", "share: must be a finite number"),
        ("share = -inf", "share: must be a finite number"),
        (f"share = 1{'0' * 400}", "share: must be a finite number"),
        ("on = 1", "on: must be true or false"),
        ("words = 'a'", "words: must be a list"),
        ("words = ['a', 1]", "words[1]: must be a text"),
        ("labels = 1", "labels: must be a table of texts"),
        ("labels = {a = 1}", "labels.a: must be a text"),
        ("part = 1", "part: must be a list"),
        ("part = [1]", "part[0]: must be a table"),
        ("part = [{size = 1}]", "part[0]: lacks name, place"),
        ("part = [{name = 'a', place = 'b', extra = 1}]", "part[0].extra: no such setting"),
        ('text = "a\\u0000b"', "text: has a character that cannot be shown"),
        ('labels = {a = "\\u001b[2J"}', "labels.a: has a character that cannot be shown"),
        ("text = 2026-03-01", "text: must be a text"),
        ("text = ", "Invalid value"),
        ("text = 'a'\ntext = 'b'", "Cannot overwrite a value"),
        (b"\xff", "utf-8"),
        (f"number = {'9' * 5000}", "limit"),
        ("x = " + "[" * 5000, "recursion"),
        (b"#" * (FILE_BYTES_MAX + 1), "is above 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, text), Whole)
    assert says in str(caught.value)


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    assert read(written(tmp_path, b"#" * FILE_BYTES_MAX), Whole) == Whole()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(alphabet='abst=[]{}."\\n\n019tru-e', max_size=80).map(str.encode))
def test_no_content_is_anything_but_a_value_or_a_config_error(tmp_path: Path, content: bytes) -> None:
    with suppress(ConfigError):
        assert isinstance(read(written(tmp_path, content), Whole), Whole)
