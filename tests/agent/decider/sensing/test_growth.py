from homeostat_agent.decider.sensing.growth import Growth


def test_the_first_reading_has_no_growth_and_the_next_has() -> None:
    growth = Growth()
    assert growth.of("a", (10, 20)) is None
    assert growth.of("a", (15, 20)) == (5, 0)


def test_a_counter_that_went_back_gives_nothing_once() -> None:
    growth = Growth()
    growth.of("a", (10, 4_294_967_290))
    assert growth.of("a", (20, 3)) is None
    assert growth.of("a", (21, 5)) == (1, 2)


def test_another_number_of_counters_is_a_new_beginning() -> None:
    growth = Growth()
    growth.of("a", (1,))
    assert growth.of("a", (1, 2)) is None


def test_what_was_taken_out_is_forgotten() -> None:
    growth = Growth()
    growth.of("a", (1,))
    growth.of("b", (1,))
    growth.keep_only({"b"})
    assert growth.of("a", (2,)) is None
    assert growth.of("b", (2,)) == (1,)
