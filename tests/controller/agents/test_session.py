"""One session: only the latest of each kind waits to be sent, and what waits is bounded."""

from homeostat.policy import Selector
from homeostat.wire.v1 import link_pb2, policy_pb2
from homeostat_controller.agents.offers import Board, Offer
from homeostat_controller.agents.session import ANSWERS_MAX, Session
from homeostat_controller.policies.assignment import Candidate
from homeostat_controller.store.approvals import Pending, PendingDenial


def board(revision: int, select: dict[str, tuple[str, ...]] | None = None) -> Board:
    digest = revision.to_bytes(32, "big")
    ref = link_pb2.PolicyRef(name="web", revision=revision, sha256=digest)
    message = link_pb2.ControllerMessage(policy_offer=link_pb2.PolicyOffer(policy=ref)).SerializeToString()
    candidate = Candidate("default", "web", revision, digest, Selector(select or {}), 0)
    return Board((candidate,), {digest: Offer("web", revision, digest, message)})


def session() -> Session:
    return Session("ep-1", "default", {"role": "web"}, opened_at=0.0, age_max_s=600.0)


def taken(one: Session) -> link_pb2.ControllerMessage:
    return link_pb2.ControllerMessage.FromString(one.take(b"token"))


def signed(payload: bytes) -> bytes:
    return policy_pb2.Signed(payload=payload).SerializeToString()


def test_the_latest_offer_replaces_the_one_that_was_not_sent() -> None:
    one = session()
    one.consider(board(1), 5.0)
    one.consider(board(2), 6.0)
    assert one.wake.is_set()
    assert taken(one).policy_offer.policy.revision == 2
    assert one.offered_at == 6.0
    assert one.take(b"token") == b""
    assert not one.wake.is_set()


def test_what_runs_was_rejected_or_was_offered_is_not_offered() -> None:
    one = session()
    one.active_sha256, one.rejected_sha256 = (1).to_bytes(32, "big"), (2).to_bytes(32, "big")
    for revision in (1, 2):
        one.consider(board(revision), 0.0)
    assert one.take(b"token") == b""
    one.consider(board(3), 0.0)
    assert taken(one).policy_offer.policy.revision == 3
    one.consider(board(3), 0.0)
    assert one.take(b"token") == b""


def test_a_policy_for_others_is_not_offered() -> None:
    one = session()
    one.consider(board(1, {"role": ("db",)}), 0.0)
    one.consider(Board(), 0.0)
    assert one.take(b"token") == b""


def test_one_message_carries_everything_that_waits() -> None:
    one = session()
    one.consider(board(1), 0.0)
    one.tell(Pending((signed(b"g"),), (PendingDenial("pack-2", "otto", "no"),)))
    one.acknowledge(7, report_full_state=True)
    one.acknowledge(8, report_full_state=False)
    one.close("stopping", 1.5)
    message = taken(one)
    assert message.policy_offer.policy.revision == 1
    assert [grant.payload for grant in message.grants] == [b"g"]
    assert message.denials[0].pack_id == "pack-2"
    assert (message.acknowledged_sequence_num, message.report_full_state) == (8, True)
    assert message.settings.retry_after.ToMilliseconds() == 1500
    assert message.session_token == b"token"


def test_answers_are_bounded_and_not_doubled() -> None:
    one = session()
    one.tell(Pending((signed(b"g"),)))
    one.tell(Pending((signed(b"g"),)))
    assert len(one.outgoing.grants) == 1
    one.tell(Pending(tuple(signed(str(number).encode()) for number in range(ANSWERS_MAX + 5))))
    assert len(one.outgoing.grants) == ANSWERS_MAX


def test_an_acknowledgement_alone_is_not_urgent() -> None:
    one = session()
    one.acknowledge(1, report_full_state=False)
    assert not one.is_urgent
    one.consider(board(1), 0.0)
    assert one.is_urgent


def test_the_first_cause_of_an_end_counts() -> None:
    one = session()
    one.close("age")
    one.close("silent")
    assert one.ended == "age"
