import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat_agent.isolation import (
    ADDRESS_SPACE_BYTES_MAX,
    ANSWER_BYTES_MAX,
    CPU_S_MAX,
    REASON_CHARACTERS_MAX,
    Answer,
    ChildError,
    ask,
    ask_program,
)

ODD_CHILD = Path(__file__).parents[1] / "fakes" / "odd_child.py"
TIMEOUT_S = 30.0


def of(behaviour: str, request: bytes = b"", timeout_s: float = TIMEOUT_S) -> Answer:
    return ask_program([sys.executable, "-I", str(ODD_CHILD), behaviour], request, timeout_s)


def children() -> set[str]:
    return {one.name for one in Path("/proc").iterdir() if one.name.isdigit() and parent(one) == os.getpid()}


def parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(autouse=True)
def no_child_stays() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


def test_the_child_answers_with_bytes() -> None:
    request = os.urandom(ANSWER_BYTES_MAX)
    assert of("echo", request) == Answer(body=request)
    assert of("echo", b"") == Answer(body=b"")


def test_the_child_answers_with_a_reason_that_is_cut() -> None:
    assert of("refuse") == Answer(refusal=("No. " + "x" * 1000)[:REASON_CHARACTERS_MAX])


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("crash", "ended with 1"),
        ("memory", "ended with 1"),
        ("killed", "ended with -9"),
        ("deaf", "an answer that is none"),
        ("", "an answer that is none"),
        ("yes", "an answer that is none"),
        ("-", "an answer that is none"),
        ("-a\tb", "an answer that is none"),
    ],
)
def test_whatever_else_it_does_is_an_error(behaviour: str, why: str) -> None:
    with pytest.raises(ChildError, match=why):
        of(behaviour, bytes(1 << 19))


def test_an_endless_answer_is_cut_off() -> None:
    with pytest.raises(ChildError):
        of("endless")


@pytest.mark.parametrize("behaviour", ["hangs", "hangs-after-closing"])
def test_one_that_hangs_is_ended(behaviour: str) -> None:
    with pytest.raises(ChildError, match=r"did not answer within 0\.3 s"):
        of(behaviour, bytes(1 << 19), timeout_s=0.3)


def test_its_limits_are_set_and_its_environment_is_empty() -> None:
    assert of("limits").body == repr([CPU_S_MAX, ADDRESS_SPACE_BYTES_MAX, 0]).encode()
    assert b"PATH" not in of("environment").body


def test_one_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="cannot be started: No such file"):
        ask_program([str(tmp_path / "absent")], b"", TIMEOUT_S)
    with pytest.raises(ChildError, match=r"homeostat_agent\.there_is_none ended with 1"):
        ask("homeostat_agent.there_is_none", (), b"", TIMEOUT_S)
