import sqlite3

import pytest

from homeostat_agent.actuator.fence import fenced
from homeostat_agent.actuator.port import Stopping


def burst(error: BaseException) -> str:
    raise error


def test_what_goes_well_goes_through() -> None:
    assert fenced(lambda: "well", str, "run-1") == "well"


def test_an_error_becomes_a_sentence_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    found = fenced(lambda: burst(OSError(5, "Input/output error")), lambda reason: f"failed: {reason}", "run-1")
    assert found == "failed: unexpected OSError: [Errno 5] Input/output error"
    assert "about=run-1" in caplog.text


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk is full"), Stopping(), KeyboardInterrupt()])
def test_a_broken_journal_and_an_order_to_end_go_through(error: BaseException) -> None:
    with pytest.raises(type(error)):
        fenced(lambda: burst(error), str, "run-1")
