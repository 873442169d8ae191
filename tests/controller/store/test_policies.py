"""Policies: drafts, revisions that rise over all policies, supersession and withdrawal."""

import threading

import pytest
from fixtures_controller import START, add_endpoint

from homeostat_controller.errors import NotFound
from homeostat_controller.store import policies, session_states
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest
from homeostat_controller.store.policies import Publication

WEB = ("default", "web")


def publish(database: Database, key: tuple[str, str] = WEB, text: str = "name: web") -> int:
    with database.write() as connection:
        draft_id = policies.save_draft(connection, key, text, "anna", START)
        revision = policies.next_revision(connection)
        made = Publication(revision, f"c{revision}".encode(), f"s{revision}".encode(), bytes(32), "anna")
        policies.publish(connection, draft_id, made, START)
    return revision


def test_a_draft_replaces_the_one_before_and_can_be_dropped(database: Database) -> None:
    with database.write() as connection:
        policies.save_draft(connection, WEB, "one", "anna", START)
        policies.save_draft(connection, WEB, "two", "otto", START)
        found = policies.draft(connection, WEB)
        assert found is not None
        assert (found.text, found.author, found.revision, found.status) == ("two", "otto", None, "draft")
        policies.discard_draft(connection, WEB)
        assert policies.draft(connection, WEB) is None
    with pytest.raises(NotFound), database.write() as connection:
        policies.discard_draft(connection, WEB)


def test_revisions_rise_over_all_policies_and_the_older_is_superseded(database: Database) -> None:
    assert [publish(database), publish(database, ("default", "db")), publish(database)] == [1, 2, 3]
    with database.read() as connection:
        shown = policies.revisions(connection, WEB, PageRequest()).items
        assert {one.revision: one.status for one in shown} == {1: "superseded", 3: "published"}
        now = policies.current(connection, WEB)
        assert now is not None
        assert now.revision == 3
        assert policies.by_revision(connection, 1).status == "superseded"
        with pytest.raises(NotFound):
            policies.by_revision(connection, 9)


def test_what_is_published_is_read_as_bytes(database: Database) -> None:
    publish(database)
    publish(database, ("default", "db"))
    with database.read() as connection:
        found = policies.published(connection)
    assert [(one.name, one.compiled, one.signed) for one in found] == [("db", b"c2", b"s2"), ("web", b"c1", b"s1")]


def test_twenty_publications_at_once_get_twenty_revisions(database: Database) -> None:
    made: list[int] = []

    def one(number: int) -> None:
        made.append(publish(database, ("default", f"policy-{number % 3}")))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [1, 2, 3]


def test_a_withdrawn_policy_is_published_no_more(database: Database) -> None:
    publish(database)
    with database.write() as connection:
        assert policies.withdraw(connection, WEB) == 1
        assert policies.published(connection) == ()
        assert policies.current(connection, WEB) is None
    with pytest.raises(NotFound), database.write() as connection:
        policies.withdraw(connection, WEB)


def test_the_list_shows_who_runs_what(database: Database) -> None:
    publish(database)
    with database.write() as connection:
        policies.save_draft(connection, ("default", "db"), "x", "anna", START)
    for number in range(3):
        endpoint_id = add_endpoint(database, f"ep-{number}")
        revision = 1 if number else 7
        row = session_states.PolicyRow("web", 1, b"o" * 32, "web", revision, b"", "", 0, b"", "", 0, b"", "", None)
        with database.write() as connection:
            session_states.write(connection, [session_states.Report(endpoint_id, START, connected=True, policy=row)])
    with database.read() as connection:
        db, web = policies.list_page(connection, "default", PageRequest()).items
        assert policies.list_page(connection, "another", PageRequest()).total == 0
    assert (db.name, db.revision, db.has_draft, db.endpoints_active) == ("db", 0, True, 0)
    assert (web.name, web.revision, web.has_draft, web.endpoints_active) == ("web", 1, False, 2)


def test_an_unknown_policy_is_not_found(database: Database) -> None:
    with database.read() as connection:
        for ask in (policies.draft, policies.current):
            with pytest.raises(NotFound):
                ask(connection, ("default", "nothing"))
