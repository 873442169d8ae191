from homeostat_controller.cli.options import in_path


def test_a_name_is_one_segment_of_a_path() -> None:
    assert in_path("a/b ?#..%") == "a%2Fb%20%3F%23..%25"
