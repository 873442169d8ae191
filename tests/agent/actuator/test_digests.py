from hypothesis import given
from hypothesis import strategies as st

from homeostat_agent.actuator.digests import Part, facts_digest

PARTS = st.lists(st.one_of(st.text(), st.integers(), st.booleans(), st.none()), max_size=5)


@given(PARTS, PARTS)
def test_only_equal_lists_have_equal_digests(one: list[Part], other: list[Part]) -> None:
    same = one == other and [type(part) for part in one] == [type(part) for part in other]
    assert (facts_digest(*one) == facts_digest(*other)) is same


def test_parts_do_not_run_together() -> None:
    assert len({facts_digest("ab", "c"), facts_digest("a", "bc"), facts_digest("abc"), facts_digest("abc", "")}) == 4


def test_a_digest_has_32_bytes_and_stays_as_it_is() -> None:
    # Approvals are held against digests of another day: this one must never change.
    expected = "367b88b2b2d674671db051404333632ea10b76f76e1d674fc77bd350da6aaefe"
    assert facts_digest("service", "web", 7, True, None).hex() == expected
