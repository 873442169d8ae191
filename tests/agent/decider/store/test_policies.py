import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat_agent.decider.store.database import open_database
from homeostat_agent.decider.store.policies import (
    FLOORS_MAX,
    REJECTIONS_MAX,
    BelowFloor,
    PolicyRef,
    PolicyStore,
    StoredPolicy,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JUDGE = b"judge"


def policy(revision: int, name: str = "web", content: str = "") -> StoredPolicy:
    signed = f"{name} {revision} {content}".encode()
    return StoredPolicy(PolicyRef(name, revision, sha256(signed).digest()), signed)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "store.db", NOW)
    yield opened.connection
    opened.connection.close()


@pytest.fixture
def store(connection: sqlite3.Connection) -> PolicyStore:
    return PolicyStore(connection)


def names(store: PolicyStore) -> tuple[int, int, int, int]:
    """Revisions of offered, active, last good and rejected; 0 where there is none."""
    status = store.status(JUDGE)
    return (
        status.offered.revision,
        status.active.revision,
        status.last_good.revision,
        status.rejected.policy.revision,
    )


def test_nothing_was_accepted_at_first(store: PolicyStore) -> None:
    assert store.active() is None
    assert names(store) == (0, 0, 0, 0)
    assert store.fall_back("why", NOW, JUDGE) is None


def test_the_active_policy_becomes_the_last_good_one(store: PolicyStore) -> None:
    store.offer(policy(1).ref)
    store.accept(policy(1))
    assert names(store) == (1, 1, 1, 0)
    store.offer(policy(2).ref)
    store.accept(policy(2))
    assert names(store) == (2, 2, 1, 0)
    assert store.active() == policy(2)


def test_accepting_the_active_policy_again_changes_nothing(store: PolicyStore) -> None:
    store.accept(policy(1))
    store.accept(policy(2))
    store.accept(policy(2))
    assert names(store) == (0, 2, 1, 0)


def test_an_older_revision_or_other_content_of_the_same_is_kept_out(store: PolicyStore) -> None:
    store.accept(policy(5))
    with pytest.raises(BelowFloor, match="Revision 4 of web is older than 5"):
        store.accept(policy(4))
    with pytest.raises(BelowFloor, match="with other content"):
        store.accept(policy(5, content="other"))
    assert store.active() == policy(5)


def test_each_name_has_its_own_floor(store: PolicyStore) -> None:
    store.accept(policy(5))
    store.accept(policy(2, name="database"))
    assert store.active() == policy(2, name="database")
    assert store.why_below_floor(policy(4).ref)


def test_names_with_a_floor_are_bounded(store: PolicyStore) -> None:
    for n in range(FLOORS_MAX):
        store.accept(policy(1, name=f"p{n}"))
    with pytest.raises(BelowFloor, match="no further one"):
        store.accept(policy(1, name="one-more"))
    store.accept(policy(2, name="p0"))


def test_a_rejection_is_remembered_by_content_and_leaves_the_active_one_alone(store: PolicyStore) -> None:
    store.accept(policy(1))
    store.reject(policy(2).ref, "It is unwise.", NOW, JUDGE)
    assert names(store) == (0, 1, 1, 2)
    status = store.status(JUDGE).rejected
    assert (status.reason, status.at.ToDatetime(UTC)) == ("It is unwise.", NOW)
    assert store.rejection(policy(2).ref.sha256, JUDGE) == "It is unwise."
    assert store.rejection(policy(3).ref.sha256, JUDGE) == ""


def test_another_judge_is_not_bound_by_a_rejection(store: PolicyStore) -> None:
    store.reject(policy(2).ref, "It is unwise.", NOW, JUDGE)
    assert store.rejection(policy(2).ref.sha256, b"other") == ""
    assert not store.status(b"other").HasField("rejected")


def test_rejections_are_bounded(store: PolicyStore) -> None:
    for revision in range(1, REJECTIONS_MAX + 2):
        store.reject(policy(revision).ref, "no", NOW, JUDGE)
    assert store.rejection(policy(1).ref.sha256, JUDGE) == ""
    assert store.rejection(policy(2).ref.sha256, JUDGE) == "no"
    store.reject(policy(2).ref, "still no", NOW, JUDGE)
    assert names(store)[3] == 2


def test_falling_back_rejects_the_active_one_and_keeps_the_floor(store: PolicyStore) -> None:
    store.accept(policy(1))
    store.accept(policy(2))
    assert store.fall_back("It broke.", NOW, JUDGE) == policy(1)
    assert names(store) == (0, 1, 1, 2)
    assert store.why_below_floor(policy(1).ref)
    assert store.fall_back("This too.", NOW, JUDGE) is None
    assert names(store) == (0, 0, 0, 1)


def test_content_that_is_no_longer_referred_to_is_forgotten(store: PolicyStore, connection: sqlite3.Connection) -> None:
    for revision in range(1, 6):
        store.accept(policy(revision))
    assert connection.execute("SELECT count(*) FROM policy_content").fetchone() == (2,)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), st.sampled_from(["x", "y"])), max_size=12))
def test_what_is_accepted_never_falls(tmp_path: Path, offers: list[tuple[str, int, str]]) -> None:
    connection = open_database(tmp_path / "property.db", NOW).connection
    connection.execute("BEGIN")
    store = PolicyStore(connection)
    highest: dict[str, tuple[int, str]] = {}
    for name, revision, content in offers:
        try:
            store.accept(policy(revision, name, content))
        except BelowFloor:
            assert revision <= highest[name][0]
            continue
        assert (revision, content) == highest.get(name, (0, ""))[:2] or revision > highest.get(name, (0, ""))[0]
        highest[name] = (revision, content)
    connection.execute("ROLLBACK")
    connection.close()
