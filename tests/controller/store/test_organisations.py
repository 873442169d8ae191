"""Organisation, site and group: the default ones, new ones by path, and what is refused."""

import pytest
from fixtures_controller import START

from homeostat_controller.errors import Conflict, Invalid, NotFound
from homeostat_controller.store import organisations
from homeostat_controller.store.database import Database


def test_the_default_group_is_there_and_found_by_id_and_path(database: Database) -> None:
    with database.read() as connection:
        assert [one.path for one in organisations.groups(connection)] == ["default/default/default"]
        by_id = organisations.group(connection, "default")
        assert organisations.group(connection, "default/default/default") == by_id


def test_a_group_is_made_with_its_organisation_and_site_once(database: Database) -> None:
    with database.write() as connection:
        first = organisations.add_group(connection, "acme/lyon/web", START)
        second = organisations.add_group(connection, "acme/lyon/db", START)
    assert (first.organisation_id, first.site_id) == (second.organisation_id, second.site_id)
    with database.read() as connection:
        acme = organisations.groups(connection, first.organisation_id)
    assert [one.path for one in acme] == ["acme/lyon/db", "acme/lyon/web"]


def test_the_same_site_name_in_two_organisations_is_two_sites(database: Database) -> None:
    with database.write() as connection:
        one = organisations.add_group(connection, "acme/lyon/web", START)
        other = organisations.add_group(connection, "umbrella/lyon/web", START)
    assert one.site_id != other.site_id


def test_a_group_that_is_there_is_not_made_twice(database: Database) -> None:
    with pytest.raises(Conflict), database.write() as connection:
        organisations.add_group(connection, "default/default/default", START)


@pytest.mark.parametrize("path", ["", "a", "a/b", "a/b/c/d", "A/b/c", "a//c", "a/b/ ", "a/b/c\n", "../b/c"])
def test_a_path_that_is_none_is_refused(database: Database, path: str) -> None:
    with pytest.raises(Invalid), database.write() as connection:
        organisations.add_group(connection, path, START)


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "default/default/nothing"])
def test_an_unknown_group_is_not_found(database: Database, name: str) -> None:
    with pytest.raises(NotFound), database.read() as connection:
        organisations.group(connection, name)
