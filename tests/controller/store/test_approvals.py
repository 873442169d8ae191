"""Packs and answers: decided once, delivered until confirmed, expired when nobody cares."""

import threading
from datetime import timedelta

import pytest
from fixtures_controller import START, Chain, add_endpoint, ingest, opened, outcome, pack

from homeostat_controller.errors import NotFound
from homeostat_controller.store import approvals
from homeostat_controller.store.approvals import NewGrant, PendingDenial, ReceiptRow, Verdict
from homeostat_controller.store.conditions import Condition, Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest

LATER = START + timedelta(minutes=15)


@pytest.fixture
def asked(database: Database) -> Database:
    """One endpoint with three waiting packs for three incidents, and another endpoint."""
    add_endpoint(database)
    add_endpoint(database, "ep-2")
    chain = Chain()
    for number in range(3):
        chain.add(opened(f"inc-{number}"))
        chain.add(pack(f"pack-{number}", f"inc-{number}", START + timedelta(seconds=number)))
    ingest(database, [chain.push()])
    return database


def grant(database: Database, pack_id: str = "pack-0") -> None:
    with database.write() as connection:
        assert approvals.decide(connection, pack_id, Verdict("approved", "anna"), START)
        approvals.add_grant(connection, NewGrant(pack_id, "ep-1", "anna", LATER, b"signed-" + pack_id.encode()), START)


def status(database: Database, pack_id: str = "pack-0") -> str:
    with database.read() as connection:
        return approvals.get(connection, pack_id).view.status


def test_a_pack_is_shown_with_its_plan(asked: Database) -> None:
    with asked.read() as connection:
        shown = approvals.list_page(connection, Filter((Condition("status", ("waiting",)),)), PageRequest())
        detail = approvals.get(connection, "pack-0")
        assert approvals.counts(connection) == {"waiting": 3}
    assert [one.id for one in shown.items] == ["pack-2", "pack-1", "pack-0"]
    assert (detail.view.subject, detail.view.fault, detail.view.risk) == ("service:web", "service-down", "medium")
    assert detail.message.plan.forward[0].restart_service.service == "web"
    assert (detail.incident_open, detail.endpoint_standing, detail.receipt, detail.run_id) == (True, "active", "", "")
    with pytest.raises(NotFound), asked.read() as connection:
        approvals.get(connection, "pack-9")


def test_of_twenty_answers_one_counts(asked: Database) -> None:
    won: list[str] = []

    def answer(number: int) -> None:
        with asked.write() as connection:
            approvals.lock(connection, "pack-0")
            if approvals.decide(connection, "pack-0", Verdict("denied", f"person-{number}"), START):
                won.append(f"person-{number}")

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    with asked.read() as connection:
        assert approvals.get(connection, "pack-0").view.decided_by == won[0]


def test_an_answer_waits_for_its_own_endpoint_until_it_is_confirmed_or_late(asked: Database) -> None:
    grant(asked)
    with asked.write() as connection:
        assert approvals.decide(connection, "pack-1", Verdict("denied", "otto", "not now"), START)
        waiting = approvals.pending(connection, "ep-1", START)
        assert waiting.grants == (b"signed-pack-0",)
        assert waiting.denials == (PendingDenial("pack-1", "otto", "not now"),)
        assert approvals.pending(connection, "ep-2", START) == approvals.Pending()
        assert approvals.pending(connection, "ep-1", LATER).grants == ()
        assert approvals.pending(connection, "ep-1", START + timedelta(hours=2)).denials == ()
        assert approvals.receive(connection, [ReceiptRow("ep-1", "pack-0", "accepted", "")], START) == 1
        assert approvals.pending(connection, "ep-1", START).grants == ()


@pytest.mark.parametrize(
    ("result", "expected"), [("accepted", "used"), ("refused", "void"), ("expired", "expired"), ("???", "void")]
)
def test_a_receipt_says_what_became_of_it(asked: Database, result: str, expected: str) -> None:
    grant(asked)
    with asked.write() as connection:
        approvals.receive(connection, [ReceiptRow("ep-1", "pack-0", result, "the state changed")], START)
    with asked.read() as connection:
        detail = approvals.get(connection, "pack-0")
    assert (detail.view.status, detail.receipt, detail.receipt_at) == (expected, result, START)
    assert (detail.view.reason == "the state changed") is (expected != "used")


def test_a_receipt_counts_once_and_only_from_the_pack_s_endpoint(asked: Database) -> None:
    grant(asked)
    with asked.write() as connection:
        assert approvals.receive(connection, [ReceiptRow("ep-2", "pack-0", "refused", "")], START) == 0
        assert approvals.receive(connection, [ReceiptRow("ep-1", "pack-0", "accepted", "")], START) == 1
        assert approvals.receive(connection, [ReceiptRow("ep-1", "pack-0", "refused", "")], START) == 0
        assert approvals.receive(connection, [ReceiptRow("ep-1", "nothing", "refused", "")], START) == 0
    assert status(asked) == "used"


def test_an_outcome_uses_the_approval_that_started_it(asked: Database) -> None:
    grant(asked)
    chain = Chain("ep-1")
    for number in range(3):
        chain.add(opened(f"inc-{number}"))
        chain.add(pack(f"pack-{number}", f"inc-{number}", START + timedelta(seconds=number)))
    chain.add(outcome("run-0", "inc-0", pack_id="pack-0"))
    ingest(asked, [chain.push()])
    with asked.read() as connection:
        detail = approvals.get(connection, "pack-0")
    assert (detail.view.status, detail.run_id) == ("used", "run-0")


def test_an_outcome_proves_that_a_late_approval_had_arrived(asked: Database) -> None:
    grant(asked)
    with asked.write() as connection:
        approvals.expire(connection, LATER)
    assert status(asked) == "expired"
    chain = Chain("ep-1")
    for number in range(3):
        chain.add(opened(f"inc-{number}"))
        chain.add(pack(f"pack-{number}", f"inc-{number}", START + timedelta(seconds=number)))
    chain.add(outcome("run-0", "inc-0", pack_id="pack-0"))
    chain.add(outcome("run-1", "inc-1", pack_id="pack-1"))  # nobody approved that one
    ingest(asked, [chain.push()])
    assert (status(asked), status(asked, "pack-1")) == ("used", "waiting")


def test_expiry_ends_what_nobody_answered_and_what_did_not_arrive(asked: Database) -> None:
    grant(asked)
    with asked.write() as connection:
        assert approvals.expire(connection, START) == 0
        assert approvals.expire(connection, LATER) == 1
        assert approvals.expire(connection, START + timedelta(hours=1, seconds=1)) == 1
        assert approvals.expire(connection, START + timedelta(hours=2)) == 1
    with asked.read() as connection:
        assert approvals.get(connection, "pack-0").view.reason == "the endpoint was not reached in time"
        assert approvals.get(connection, "pack-1").view.reason == "nobody answered in time"


def test_what_waits_for_one_endpoint_is_bounded(database: Database) -> None:
    add_endpoint(database)
    chain = Chain()
    for number in range(approvals.PENDING_MAX + 1):
        chain.add(opened(f"inc-{number}"))
        chain.add(pack(f"pack-{number}", f"inc-{number}"))
    ingest(database, [chain.push()])
    for number in range(approvals.PENDING_MAX + 1):
        grant(database, f"pack-{number}")
    with database.read() as connection:
        assert len(approvals.pending(connection, "ep-1", START).grants) == approvals.PENDING_MAX
