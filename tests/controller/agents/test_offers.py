"""Offers: each policy serialised once, chosen by labels, and read as one message with what is appended."""

from fixtures_controller import START
from fixtures_running import policy_text

from homeostat.wire.policies import policy_to_wire
from homeostat.wire.v1 import link_pb2
from homeostat_controller.agents.offers import Board, BoardReader, board
from homeostat_controller.policies import document
from homeostat_controller.store import policies
from homeostat_controller.store.database import Database
from homeostat_controller.store.policies import PublishedBytes


def published(
    name: str, select: str, revision: int, priority: int = 0, organisation: str = "default"
) -> PublishedBytes:
    policy = document.compile_policy(policy_text(name, select, priority)).policy
    assert policy is not None
    payload = policy_to_wire(policy).SerializeToString()
    return PublishedBytes(organisation, name, revision, payload, b"\n\x01x", revision.to_bytes(32, "big"))


def test_an_endpoint_gets_the_offer_that_its_labels_select() -> None:
    made = board((published("all", "{}", 1), published("web", "{role: web}", 2, priority=5)))
    web, other = made.offer("default", {"role": "web"}), made.offer("default", {"role": "db"})
    assert web is not None
    assert other is not None
    assert (web.name, other.name) == ("web", "all")
    assert made.offer("another", {"role": "web"}) is None
    assert Board().offer("default", {}) is None
    assert made.offer("default", {"role": "web"}) is web  # the very same bytes for everybody


def test_an_offer_and_what_is_appended_are_one_message() -> None:
    offer = board((published("web", "{}", 7),)).offer("default", {})
    assert offer is not None
    tail = link_pb2.ControllerMessage(acknowledged_sequence_num=3, session_token=b"t")
    message = link_pb2.ControllerMessage.FromString(offer.message + tail.SerializeToString())
    assert (message.policy_offer.policy.revision, message.acknowledged_sequence_num) == (7, 3)
    assert (message.policy_offer.policy.name, message.policy_offer.signed.payload) == ("web", b"x")
    assert message.session_token == b"t"


def test_the_reader_hands_on_what_is_published(database: Database) -> None:
    taken: list[Board] = []
    reader = BoardReader(database, taken.append)
    reader.refresh()
    one = published("web", "{}", 1)
    with database.write() as connection:
        draft = policies.save_draft(connection, ("default", "web"), "text", "anna", START)
        made = policies.Publication(1, one.compiled, one.signed, one.sha256, "anna")
        policies.publish(connection, draft, made, START)
    reader.refresh()
    assert [len(each.candidates) for each in taken] == [0, 1]
