"""Which policy an endpoint gets: its organisation's, that selects it, by priority and then by name."""

from hypothesis import given
from hypothesis import strategies as st

from homeostat.policy import Selector
from homeostat_controller.policies.assignment import Candidate, choose


def candidate(name: str, priority: int = 0, organisation: str = "o", **labels: str) -> Candidate:
    selector = Selector({key: (value,) for key, value in labels.items()})
    return Candidate(organisation, name, 1, name.encode(), selector, priority)


def chosen(candidates: list[Candidate], **labels: str) -> str | None:
    found = choose(candidates, "o", labels)
    return found.name if found else None


def test_the_highest_priority_that_selects_it() -> None:
    fleet = [candidate("all"), candidate("web", 5, role="web"), candidate("gold", 9, tier="gold")]
    assert chosen(fleet) == "all"
    assert chosen(fleet, role="web") == "web"
    assert chosen(fleet, role="web", tier="gold") == "gold"


def test_equal_priorities_go_by_name() -> None:
    assert chosen([candidate("b"), candidate("a"), candidate("c")]) == "a"


def test_nothing_selects_it() -> None:
    assert chosen([candidate("web", role="web")], role="db") is None
    assert chosen([]) is None


def test_other_organisations_do_not_count() -> None:
    assert chosen([candidate("theirs", 99, "other"), candidate("ours")]) == "ours"


@given(st.permutations([candidate("a", 1), candidate("b", 1), candidate("c", 2, role="web"), candidate("d", -1)]))
def test_the_order_they_come_in_does_not_matter(candidates: list[Candidate]) -> None:
    assert (chosen(candidates, role="web"), chosen(candidates)) == ("c", "a")
