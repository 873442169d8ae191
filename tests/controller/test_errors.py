"""Every expected failure is a ControllerError, with its sentence."""

from homeostat_controller import errors


def test_each_failure_is_caught_by_the_root_and_reads_as_its_sentence() -> None:
    for kind in (errors.NotFound, errors.Conflict, errors.Invalid):
        assert isinstance(kind("the thing is not there"), errors.ControllerError)
        assert str(kind("the thing is not there")) == "the thing is not there"


def test_busy_says_when_to_come_back() -> None:
    busy = errors.Busy("too many", 2.5)
    assert (str(busy), busy.retry_after_s) == ("too many", 2.5)
