"""The command line's edges: usage, completion, unreachable, and no traceback."""

import pytest
from fixtures_cli import Homeostat

from homeostat_controller.cli.entry import NOUNS


def test_help_names_every_noun_and_the_exit_codes(homeostat: Homeostat) -> None:
    done = homeostat("--help")
    assert done.returncode == 0
    assert not [noun for noun, _ in NOUNS if noun not in done.stdout]
    assert "3 waits for approval" in done.stdout


@pytest.mark.parametrize("arguments", [("polcy",), ("endpoints", "list", "-o", "xml"), ("incidents", "show")])
def test_a_mistake_in_usage(homeostat: Homeostat, arguments: tuple[str, ...]) -> None:
    done = homeostat(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_controller_that_does_not_answer(homeostat: Homeostat) -> None:
    done = homeostat("--server", "http://127.0.0.1:9", "endpoints", "list")
    assert done.returncode == 5
    assert done.stderr.splitlines()[0] == "error: The controller at http://127.0.0.1:9 does not answer."
    assert "next:" in done.stderr


def test_completion_is_there(homeostat: Homeostat) -> None:
    done = homeostat(_HOMEOSTAT_COMPLETE="complete_bash", COMP_WORDS="homeostat po", COMP_CWORD="1")
    assert "policy" in done.stdout
