from typing import get_args

from homeostat.plan import EndProcess, Plan, Refusal, RemoveFile, RestartService, Step


def test_plans_are_compared_by_what_they_do() -> None:
    one = Plan((RestartService("web"),), (), b"facts", "It answers.")
    assert one == Plan((RestartService("web"),), (), b"facts", "It answers.")
    assert one != Plan((RestartService("db"),), (), b"facts", "It answers.")
    assert one.findings == ()


def test_a_removed_file_is_kept_unless_said_otherwise() -> None:
    assert RemoveFile("cache", "a", 1, 2).keep


def test_a_process_is_named_by_more_than_its_number() -> None:
    assert EndProcess(7, 1, 5.0) != EndProcess(7, 2, 5.0)


def test_there_is_no_step_that_runs_a_text() -> None:
    assert {kind.__name__ for kind in get_args(Step)} == {
        "StartService",
        "StopService",
        "RestartService",
        "EndProcess",
        "RemoveFile",
        "RestoreFile",
    }
    assert Refusal("no").reason == "no"
