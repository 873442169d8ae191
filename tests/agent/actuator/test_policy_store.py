import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.actuator_rig import policy
from homeostat_agent.actuator.database import open_database
from homeostat_agent.actuator.policy_store import Floor, PolicyStore


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_database(tmp_path / "journal.db")
    yield made
    made.close()


def test_an_empty_store_has_no_policy_and_no_floor(connection: sqlite3.Connection) -> None:
    store = PolicyStore(connection)
    assert store.signed() is None
    assert store.floor("test") is None


def test_the_last_accepted_policy_is_kept_with_a_floor_for_each_name(connection: sqlite3.Connection) -> None:
    store = PolicyStore(connection)
    store.accept(policy(3), b"3" * 32, b"signed 3")
    store.accept(replace(policy(7), name="other"), b"7" * 32, b"signed 7")
    assert store.signed() == b"signed 7"
    assert store.floor("test") == Floor(3, b"3" * 32)
    assert store.floor("other") == Floor(7, b"7" * 32)


def test_policy_and_floor_are_written_both_or_neither(connection: sqlite3.Connection) -> None:
    store = PolicyStore(connection)
    store.accept(policy(3), b"3" * 32, b"signed 3")
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON policy BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk is full"):
        store.accept(policy(4), b"4" * 32, b"signed 4")
    assert (store.signed(), store.floor("test")) == (b"signed 3", Floor(3, b"3" * 32))
    connection.execute("DROP TRIGGER full")
    store.accept(policy(4), b"4" * 32, b"signed 4")
    assert store.signed() == b"signed 4"
