"""Pages by key: every row once, whatever is added meanwhile; a foreign cursor is refused."""

import base64
import contextlib
import json

import pytest
from fixtures_controller import add_endpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat_controller.errors import Invalid
from homeostat_controller.store import endpoints
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import LIMIT_MAX, PageRequest


def walk(database: Database, limit: int) -> list[str]:
    seen, after = [], ""
    while True:
        with database.read() as connection:
            shown = endpoints.list_page(connection, Filter(), PageRequest(limit, after))
        seen += [one.id for one in shown.items]
        if not shown.next:
            return seen
        after = shown.next


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_walking_visits_each_row_once_in_order(database: Database, limit: int) -> None:
    for number in range(7):
        add_endpoint(database, f"ep-{number}", name=f"web-{number // 2}")  # names repeat: the id breaks the tie
    assert walk(database, limit) == [f"ep-{number}" for number in range(7)]


def test_a_row_added_behind_the_cursor_is_seen_and_one_before_it_is_not_repeated(database: Database) -> None:
    for name in ("b", "d"):
        add_endpoint(database, f"ep-{name}", name=name)
    with database.read() as connection:
        first = endpoints.list_page(connection, Filter(), PageRequest(1))
    add_endpoint(database, "ep-a", name="a")
    add_endpoint(database, "ep-c", name="c")
    with database.read() as connection:
        rest = endpoints.list_page(connection, Filter(), PageRequest(10, first.next))
    assert [one.name for one in rest.items] == ["c", "d"]
    assert rest.total == 4
    assert rest.next == ""


def test_an_empty_list_is_one_empty_page(database: Database) -> None:
    with database.read() as connection:
        assert endpoints.list_page(connection, Filter(), PageRequest()).items == ()


@pytest.mark.parametrize("limit", [0, -1, LIMIT_MAX + 1])
def test_a_limit_out_of_range_is_refused(sqlite: Database, limit: int) -> None:
    with pytest.raises(Invalid, match="limit"), sqlite.read() as connection:
        endpoints.list_page(connection, Filter(), PageRequest(limit))


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    ["x", "%%%", "é", cursor([]), cursor(["a"]), cursor(["a", 1]), cursor({"a": 1}), cursor(["a"] * 3), "A" * 5000],
)
def test_a_cursor_of_no_such_list_is_refused(sqlite: Database, after: str) -> None:
    with pytest.raises(Invalid, match="cursor"), sqlite.read() as connection:
        endpoints.list_page(connection, Filter(), PageRequest(5, after))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(after=st.text(max_size=60))
def test_no_text_as_cursor_is_a_fault(sqlite: Database, after: str) -> None:
    with sqlite.read() as connection, contextlib.suppress(Invalid):
        endpoints.list_page(connection, Filter(), PageRequest(5, after))
