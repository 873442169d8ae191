from homeostat_agent.cli.exits import CommandError, Exit


def test_the_codes_are_what_scripts_rely_on() -> None:
    assert [int(one) for one in Exit] == [0, 1, 2, 3, 4, 5]


def test_an_error_fails_unless_it_says_otherwise() -> None:
    assert CommandError("No.").code is Exit.FAILED
    assert CommandError("No.", code=Exit.USAGE).code is Exit.USAGE
