import pytest

from homeostat_controller.demo import watch
from homeostat_controller.demo.watch import TooLate


def test_what_is_there_is_returned_at_once() -> None:
    assert watch.wait_for("it", 0.0, lambda: {"id": "x"}, lambda: "") == {"id": "x"}


def test_what_comes_later_is_waited_for() -> None:
    answers = iter([None, None, {"id": "x"}])
    assert watch.wait_for("it", 30.0, lambda: next(answers), lambda: "") == {"id": "x"}


def test_a_wait_that_passes_says_for_what_and_what_was_seen() -> None:
    with pytest.raises(TooLate, match=r"the repair did not come within 0 s; no incident was opened"):
        watch.wait_for("the repair", 0.0, lambda: None, lambda: watch.describe([]))


def test_incidents_are_described_by_where_they_stand() -> None:
    row = {"fault": "service-down", "subject": "service:web", "status": "waiting"}
    assert watch.describe([row]) == "seen: service-down on service:web is waiting"
