"""A time goes in aware and comes out aware, in UTC, on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from homeostat_controller.store.column_types import kind_of
from homeostat_controller.store.database import Database, table
from homeostat_controller.store.tables import Endpoint, Organisation

PLACES = table(Organisation)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=-11))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_a_time_comes_back_as_the_same_moment_in_utc(database: Database, at: datetime) -> None:
    with database.write() as connection:
        connection.execute(insert(PLACES).values(id="o", name="o", created_at=at))
    with database.read() as connection:
        back = connection.execute(select(PLACES.c.created_at).where(PLACES.c.id == "o")).scalar_one()
    assert back == at
    assert back.utcoffset() == timedelta()


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2026, 11, 24, 12, 0)  # noqa: DTZ001  # that is the point
    with pytest.raises(StatementError, match="without a zone"), database.write() as connection:
        connection.execute(insert(PLACES).values(id="o", name="o", created_at=naive))


def test_kinds_are_those_of_python() -> None:
    columns = table(Endpoint).c
    assert (kind_of(columns.name), kind_of(columns.last_seen_at), kind_of(columns.next_event)) == (str, datetime, int)
