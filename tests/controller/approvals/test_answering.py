"""A person's answer: once, for the very plan that was shown, and refused wherever the question stands no more."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures_controller import Chain, add_endpoint, closed, ingest, opened, pack

from fakes.moved_clock import MovedClock
from homeostat.wire import packs, plans
from homeostat.wire.v1 import incident_pb2, link_pb2, policy_pb2
from homeostat_controller.approvals.answering import Approvals, Desk
from homeostat_controller.errors import Conflict, Invalid, NotFound
from homeostat_controller.metrics import Metrics
from homeostat_controller.policies import signing
from homeostat_controller.policies.signing import GRANT_TAG, POLICY_TAG, Signer
from homeostat_controller.store import approvals, audit, endpoint_changes
from homeostat_controller.store.approvals import Pending
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest

LIFE = timedelta(minutes=15)


class Room:
    """One endpoint that asked one question, and who was told what."""

    def __init__(self, database: Database, clock: MovedClock, signer: Signer) -> None:
        self.told: list[tuple[str, Pending]] = []
        self.database, self.clock, self.signer = database, clock, signer
        self.answers = Approvals(Desk(database, clock, signer, LIFE, Metrics()))
        self.answers.on_answered(lambda endpoint_id, pending: self.told.append((endpoint_id, pending)))
        self.chain = Chain()
        add_endpoint(database)
        self.say(opened(), pack())

    def say(self, *events: link_pb2.Event) -> None:
        first = self.chain.next_sequence
        for event in events:
            self.chain.add(event)
        ingest(self.database, [self.chain.push(first)], self.clock())

    def pack(self, pack_id: str = "pack-1") -> approvals.PackDetail:
        with self.database.read() as connection:
            return approvals.get(connection, pack_id)

    def acts(self) -> list[tuple[str, str]]:
        with self.database.read() as connection:
            shown = audit.list_page(connection, AuditFilter(object_kind="exception-pack"), PageRequest()).items
        return [(one.actor, one.verb) for one in shown]

    def set_standing(self, standing: str) -> None:
        with self.database.write() as connection:
            endpoint_changes.set_standing(connection, "ep-1", standing, "why")


@pytest.fixture
def room(database: Database, clock: MovedClock, tmp_path: Path) -> Room:
    return Room(database, clock, signing.load_or_create(tmp_path))


def test_a_yes_becomes_a_signed_grant_for_the_very_plan(room: Room) -> None:
    after = room.answers.approve("pack-1", "anna", "go on")
    assert (after.view.status, after.view.decided_by, after.grant_not_after) == (
        "approved",
        "anna",
        room.clock() + LIFE,
    )
    ((endpoint_id, told),) = room.told
    signed = policy_pb2.Signed.FromString(told.grants[0])
    assert room.signer.holds(GRANT_TAG, signed)
    assert not room.signer.holds(POLICY_TAG, signed)
    grant = packs.grant_from_wire(incident_pb2.Grant.FromString(signed.payload))
    plan = packs.pack_from_wire(room.pack().message).plan
    assert (grant.pack_id, grant.endpoint_id, grant.incident_id, grant.playbook) == (
        "pack-1",
        endpoint_id,
        "inc-1",
        "restart",
    )
    assert (grant.plan_digest, grant.state_digest) == (plans.digest(plan), plan.state_digest)
    assert (grant.approver, grant.policy_revision, grant.not_after) == ("anna", 1, room.clock() + LIFE)
    assert len(grant.nonce) == 16
    assert room.acts() == [("anna", "approve")]


def test_the_answer_lies_in_the_store_until_it_is_confirmed(room: Room) -> None:
    room.answers.approve("pack-1", "anna")
    with room.database.read() as connection:
        assert approvals.pending(connection, "ep-1", room.clock()) == room.told[0][1]


def test_a_no_is_told_with_its_reason(room: Room) -> None:
    after = room.answers.deny("pack-1", "otto", "not during the sale")
    assert (after.view.status, after.view.reason, after.grant_not_after) == ("denied", "not during the sale", None)
    ((_, told),) = room.told
    assert told.denials[0].reason == "not during the sale"
    assert room.acts() == [("otto", "deny")]


WRONG_STATES: dict[str, tuple[Callable[[Room], object], str]] = {
    "approved": (lambda room: room.answers.approve("pack-1", "anna"), "it is approved"),
    "denied": (lambda room: room.answers.deny("pack-1", "anna"), "it is denied"),
    "late": (lambda room: room.clock.advance(timedelta(hours=1)), "it has expired"),
    "expired": (
        lambda room: (room.clock.advance(timedelta(hours=1)), room.answers.expire()),
        "it is expired",
    ),
    "superseded": (lambda room: room.say(pack("pack-2")), "a newer pack took its place"),
    "closed": (lambda room: room.say(closed()), "the incident closed"),
    "frozen": (lambda room: room.set_standing("frozen"), "its endpoint is frozen"),
    "revoked": (lambda room: room.set_standing("revoked"), "its endpoint is revoked"),
}


@pytest.mark.parametrize("state", WRONG_STATES)
def test_in_every_other_state_both_answers_are_refused_and_nothing_changes(room: Room, state: str) -> None:
    prepare, why = WRONG_STATES[state]
    prepare(room)
    before, told, acts = room.pack(), list(room.told), room.acts()
    for answer in (room.answers.approve, room.answers.deny):
        with pytest.raises(Conflict, match=why):
            answer("pack-1", "otto")
    assert (room.pack(), room.told, room.acts()) == (before, told, acts)


def test_a_used_approval_is_not_given_again(room: Room) -> None:
    room.answers.approve("pack-1", "anna")
    with room.database.write() as connection:
        approvals.receive(connection, [approvals.ReceiptRow("ep-1", "pack-1", "accepted", "")], room.clock())
    with pytest.raises(Conflict, match="its approval was used"):
        room.answers.approve("pack-1", "anna")


def test_of_twenty_people_one_is_heard(room: Room) -> None:
    heard: list[str] = []

    def answer(number: int) -> None:
        try:
            room.answers.approve("pack-1", f"person-{number}")
        except Conflict:
            return
        heard.append(f"person-{number}")

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == len(room.told) == 1
    assert room.acts() == [(heard[0], "approve")]


def test_a_pack_that_cannot_be_read_whole_cannot_be_approved(room: Room) -> None:
    odd = pack("pack-odd", "inc-odd")
    odd.exception_pack.plan.forward[0].ClearField("restart_service")
    room.say(opened("inc-odd"), odd)
    with pytest.raises(Conflict, match="not readable"):
        room.answers.approve("pack-odd", "anna")
    assert room.answers.deny("pack-odd", "anna").view.status == "denied"


def test_expiry_counts_and_leaves_others(room: Room) -> None:
    assert room.answers.expire() == 0
    room.clock.advance(timedelta(hours=1))
    assert room.answers.expire() == 1
    assert room.pack().view.status == "expired"


def test_a_pack_for_an_incident_that_is_not_its_sender_s_cannot_be_answered(room: Room) -> None:
    add_endpoint(room.database, "ep-2")
    thief = Chain("ep-2")
    thief.add(pack("pack-9", "inc-9"))
    ingest(room.database, [thief.push()], room.clock())
    with pytest.raises(Conflict, match="its incident is closed"):
        room.answers.approve("pack-9", "anna")


def test_what_is_not_there_and_what_is_too_long(room: Room) -> None:
    with pytest.raises(NotFound):
        room.answers.approve("pack-9", "anna")
    with pytest.raises(Invalid, match="characters"):
        room.answers.deny("pack-1", "anna", "x" * 2001)
    assert room.pack().view.status == "waiting"
