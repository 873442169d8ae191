from homeostat_controller.client.exits import CommandError, Exit


def test_scripts_rely_on_these_numbers() -> None:
    assert {one.name: one.value for one in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "WAITS_FOR_APPROVAL": 3,
        "REFUSED_BY_POLICY": 4,
        "NOT_REACHABLE": 5,
    }


def test_an_error_fails_unless_it_says_otherwise() -> None:
    assert CommandError("what").code is Exit.FAILED
