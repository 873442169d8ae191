"""The audit log: appended in order by everyone at once, filtered, and any tampering found."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from homeostat_controller.store import audit
from homeostat_controller.store.audit import Act, AuditFilter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def fill(database: Database, count: int) -> None:
    with database.write() as connection:
        for number in range(count):
            act = Act("anna", "approve", "exception-pack", f"pack-{number}", {"note": "ok", "share": 0.1}, "default")
            audit.append(connection, act, NOW + timedelta(seconds=number))


def test_entries_are_numbered_and_shown_newest_first(database: Database) -> None:
    fill(database, 3)
    with database.read() as connection:
        shown = audit.list_page(connection, AuditFilter(), PageRequest(limit=2))
    assert [one.sequence for one in shown.items] == [3, 2]
    assert shown.total == 3
    assert shown.items[0].at == NOW + timedelta(seconds=2)
    assert shown.items[0].detail == {"note": "ok", "share": 0.1}


def test_filters_by_actor_verb_object_and_time(database: Database) -> None:
    fill(database, 3)
    with database.write() as connection:
        audit.append(connection, Act("otto", "deny", "exception-pack", "pack-9"), NOW + timedelta(minutes=1))
    with database.read() as connection:

        def ids(wanted: AuditFilter) -> list[str]:
            return [one.object_id for one in audit.list_page(connection, wanted, PageRequest()).items]

        assert ids(AuditFilter(actor="otto")) == ["pack-9"]
        assert ids(AuditFilter(verb="approve", object_id="pack-1")) == ["pack-1"]
        assert ids(AuditFilter(since=NOW + timedelta(seconds=1), until=NOW + timedelta(seconds=2))) == ["pack-1"]
        assert ids(AuditFilter(organisation_id="default", object_kind="exception-pack")) == [
            "pack-2",
            "pack-1",
            "pack-0",
        ]


def test_a_whole_chain_verifies(database: Database) -> None:
    with database.read() as connection:
        assert audit.verify(connection) == audit.Verification(0)
    fill(database, 25)
    with database.read() as connection:
        assert audit.verify(connection) == audit.Verification(25)


def test_verification_reads_in_slices(database: Database) -> None:
    fill(database, audit.VERIFY_ROWS_AT_ONCE + 5)
    with database.read() as connection:
        assert audit.verify(connection) == audit.Verification(audit.VERIFY_ROWS_AT_ONCE + 5)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE audit_entry SET actor = 'nobody' WHERE sequence = 7", "entry 7 was changed"),
        ("UPDATE audit_entry SET detail = '{}' WHERE sequence = 7", "entry 7 was changed"),
        ("UPDATE audit_entry SET verb = 'deny' WHERE sequence = 1", "entry 1 was changed"),
        ("DELETE FROM audit_entry WHERE sequence = 4", "entry 4 is missing"),
        ("DELETE FROM audit_entry WHERE sequence = 1", "entry 1 is missing"),
        ("DELETE FROM audit_entry WHERE sequence >= 9", "entries 9 to 10 are missing at the end"),
        ("UPDATE audit_entry SET previous_hash = hash WHERE sequence = 5", "entry 5 does not follow"),
        ("UPDATE counter SET value = 9 WHERE name = 'audit'", "more entries than were ever counted"),
    ],
)
def test_tampering_is_found(database: Database, tampering: str, found: str) -> None:
    fill(database, 10)
    with database.write() as connection:
        connection.execute(text(tampering))
    with database.read() as connection:
        assert found in audit.verify(connection).problem


def test_twenty_writers_make_one_chain(database: Database) -> None:
    def write(number: int) -> None:
        with database.write() as connection:
            audit.append(connection, Act(f"writer-{number}", "try", "thing", str(number)), NOW)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert audit.verify(connection) == audit.Verification(20)


def test_an_act_of_a_transaction_that_failed_is_not_in_the_log(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            audit.append(connection, Act("anna", "try", "thing", "1"), NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    fill(database, 1)
    with database.read() as connection:
        assert audit.verify(connection) == audit.Verification(1)
