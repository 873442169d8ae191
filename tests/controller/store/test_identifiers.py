"""Identifiers do not repeat and are safe wherever they stand."""

import re

from homeostat_controller.store.identifiers import NAME, new_id


def test_ten_thousand_identifiers_are_distinct_and_plain() -> None:
    made = {new_id("ep") for _ in range(10_000)}
    assert len(made) == 10_000
    assert all(re.fullmatch(r"ep-[0-9a-f]{20}", one) for one in made)


def test_names_are_narrow() -> None:
    assert NAME.fullmatch("lyon-2")
    assert not any(NAME.fullmatch(one) for one in ("", "Lyon", "-a", "a/b", "a b", "é", "a" * 64, "a\n"))
