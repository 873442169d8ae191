from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TypeVar

import pytest
from fixtures_policies import expiring, offer, policy, signed_policy
from fixtures_signing import GRANT_TAG, Signer, signed, trusted

from fakes.link_controller import WAIT_S
from homeostat.policy import Policy
from homeostat.wire.v1 import link_pb2, policy_pb2
from homeostat_agent.decider.link.downlink import (
    SESSION_TOKEN,
    TOKEN_BYTES_MAX,
    Desk,
    Downlink,
    stored_policy,
)
from homeostat_agent.decider.link.judgement import Judge
from homeostat_agent.decider.link.outgoing import Outgoing
from homeostat_agent.decider.store.policies import PolicyRef, StoredPolicy
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.spool import SpoolFull
from homeostat_agent.verification import SIGNED_BYTES_MAX

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA, MALLORY = Signer(), Signer()
JUDGE = Judge(trusted([ANNA]).SerializeToString(), {"role": "web"}, "1.0")
T = TypeVar("T")


class Listening:
    """What the rest of the decider was told."""

    def __init__(self) -> None:
        self.accepted: list[tuple[Policy, policy_pb2.Signed]] = []
        self.rejected: list[tuple[int, str]] = []
        self.grants: list[policy_pb2.Signed] = []
        self.denials: list[link_pb2.Denial] = []

    def policy_accepted(self, policy: Policy, signed: policy_pb2.Signed) -> None:
        self.accepted.append((policy, signed))

    def policy_rejected(self, ref: link_pb2.PolicyRef, reason: str) -> None:
        self.rejected.append((ref.revision, reason))

    def granted(self, signed: policy_pb2.Signed) -> None:
        self.grants.append(signed)

    def denied(self, denial: link_pb2.Denial) -> None:
        self.denials.append(denial)


class Bench:
    """A downlink with everything around it."""

    def __init__(self, recorder: Recorder, judge: Judge = JUDGE) -> None:
        self.recorder = recorder
        self.listener = Listening()
        self.outgoing = Outgoing(link_pb2.Hello, 0.0)
        self.spooled = 0
        self.downlink = Downlink(Desk(recorder, self.listener, self.outgoing, lambda: NOW, self._spooled), judge)

    def offer(self, vouched: policy_pb2.Signed) -> None:
        self.downlink.receive(link_pb2.ControllerMessage(policy_offer=offer(vouched)))

    def do(self, work: Callable[[Stores], T]) -> T:
        return self.recorder.submit(work).result(WAIT_S)

    def status(self) -> tuple[int, int, int, int]:
        """Revisions of offered, active, last good and rejected, as the controller is told next."""
        said = self.outgoing.full("ep-1").policy
        return said.offered.revision, said.active.revision, said.last_good.revision, said.rejected.policy.revision

    def events(self) -> list[link_pb2.Event]:
        batch = self.do(lambda stores: stores.spool.pending(100, 1 << 20))
        return [link_pb2.Event.FromString(one.body) for one in batch.entries]

    def _spooled(self) -> None:
        self.spooled += 1


@pytest.fixture
def bench(recorder: Recorder) -> Bench:
    return Bench(recorder)


def test_a_sound_policy_is_stored_handed_on_and_told(bench: Bench) -> None:
    vouched = signed_policy(policy(3), ANNA)
    bench.offer(vouched)
    assert bench.listener.accepted == [(policy(3), vouched)]
    assert bench.status() == (3, 3, 3, 0)
    active = bench.do(lambda stores: stores.policies.active())
    assert active is not None
    assert active.signed == vouched.SerializeToString()
    assert bench.events() == []


def test_the_one_that_is_active_is_not_handed_on_again(bench: Bench) -> None:
    for _ in range(2):
        bench.offer(signed_policy(policy(3), ANNA))
    assert len(bench.listener.accepted) == 1


def test_an_unsound_policy_changes_nothing_and_is_told_and_kept_as_an_event(bench: Bench) -> None:
    bench.offer(signed_policy(policy(3), ANNA))
    bench.offer(signed_policy(policy(4), MALLORY))
    assert [one[0].revision for one in bench.listener.accepted] == [3]
    assert bench.listener.rejected == [(4, "The policy is signed by 0 of the trusted keys; 1 must sign.")]
    assert bench.status() == (4, 3, 3, 4)
    (event,) = bench.events()
    assert event.policy_rejected.policy.revision == 4
    assert event.policy_rejected.at.ToDatetime(UTC) == event.at.ToDatetime(UTC) == NOW
    assert bench.spooled == 1


def test_what_was_refused_for_good_is_not_looked_at_again(bench: Bench, recorder: Recorder) -> None:
    unsound = signed_policy(policy(4, labels={"role": "database"}), ANNA)
    bench.offer(unsound)
    bench.offer(unsound)
    assert len(bench.listener.rejected) == 1
    assert len(bench.events()) == 1
    assert bench.status() == (4, 0, 0, 4)
    # By an agent with other labels it is: there it is sound.
    moved = Bench(recorder, Judge(JUDGE.trusted_keys, {"role": "database"}, "1.0"))
    moved.offer(unsound)
    assert len(moved.listener.accepted) == 1
    assert moved.status() == (4, 4, 4, 0)


def test_an_older_revision_than_one_accepted_is_refused(bench: Bench) -> None:
    bench.offer(signed_policy(policy(5), ANNA))
    bench.offer(signed_policy(policy(4), ANNA))
    assert bench.listener.rejected == [(4, "Revision 4 of web is older than 5, which was accepted before.")]
    assert bench.status() == (4, 5, 5, 4)


def test_an_offer_that_cannot_be_taken_now_is_looked_at_again_but_told_once(bench: Bench) -> None:
    expired = signed_policy(expiring(policy(3), NOW - timedelta(days=1)), ANNA)
    bench.offer(expired)
    bench.offer(expired)
    assert len(bench.listener.rejected) == 2
    assert bench.status() == (3, 0, 0, 0)
    (event,) = bench.events()
    assert event.notice.code == "policy-not-taken"
    assert "It expired at" in event.notice.sentence


def test_an_offer_that_announces_something_else_is_refused(bench: Bench) -> None:
    for name, value in (("sha256", b"other"), ("name", "other"), ("revision", 99)):
        message = link_pb2.ControllerMessage(policy_offer=offer(signed_policy(policy(3, name), ANNA)))
        setattr(message.policy_offer.policy, name, value)
        bench.downlink.receive(message)
    assert bench.listener.accepted == []
    assert [reason for _, reason in bench.listener.rejected] == [
        "Its content is not the one that was announced.",
        "Its name or revision is not the one that was announced.",
        "Its name or revision is not the one that was announced.",
    ]


def test_an_oversize_policy_is_refused_unread(bench: Bench) -> None:
    vouched = policy_pb2.Signed(payload=bytes(SIGNED_BYTES_MAX + 1))
    ref = link_pb2.PolicyRef(name="web", revision=1, sha256=offer_digest(vouched))
    bench.downlink.receive(link_pb2.ControllerMessage(policy_offer=link_pb2.PolicyOffer(policy=ref, signed=vouched)))
    assert "the limit is 262144" in bench.listener.rejected[0][1]


def offer_digest(vouched: policy_pb2.Signed) -> bytes:
    return sha256(vouched.payload).digest()


def test_grants_and_denials_are_handed_on(bench: Bench) -> None:
    grant = signed(GRANT_TAG, b"a grant", ANNA)
    oversize = policy_pb2.Signed(payload=bytes(SIGNED_BYTES_MAX + 1))
    denial = link_pb2.Denial(pack_id="p-1", by="anna", reason="not today")
    bench.downlink.receive(link_pb2.ControllerMessage(grants=[grant, oversize], denials=[denial]))
    assert bench.listener.grants == [grant]
    assert bench.listener.denials == [denial]


def test_the_session_token_is_on_disk_before_it_is_shown(bench: Bench) -> None:
    bench.downlink.receive(link_pb2.ControllerMessage(session_token=b"token"))
    assert bench.do(lambda stores: stores.state.get(SESSION_TOKEN)) == b"token"
    assert bench.outgoing.full("ep-1").session_token == b"token"
    bench.downlink.receive(link_pb2.ControllerMessage(session_token=bytes(TOKEN_BYTES_MAX + 1)))
    bench.downlink.receive(link_pb2.ControllerMessage())
    assert bench.outgoing.full("ep-1").session_token == b"token"


def test_with_a_full_spool_a_refusal_still_stands(bench: Bench) -> None:
    bench.do(fill_up)
    bench.offer(signed_policy(policy(4), MALLORY))
    assert bench.status() == (4, 0, 0, 4)


def fill_up(stores: Stores) -> None:
    for size in (200_000, 1000, 10, 0):
        try:
            while True:
                stores.spool.append(bytes(size))
        except SpoolFull:
            continue


def test_a_stopped_recorder_costs_the_offer_and_not_the_session(bench: Bench) -> None:
    bench.recorder.stop()
    grant = signed(GRANT_TAG, b"a grant", ANNA)
    message = link_pb2.ControllerMessage(
        session_token=b"token", policy_offer=offer(signed_policy(policy(), ANNA)), grants=[grant]
    )
    bench.downlink.receive(message)
    assert bench.listener.accepted == []
    assert bench.listener.grants == [grant]


# At a start


def stored(vouched: policy_pb2.Signed, revision: int) -> StoredPolicy:
    return StoredPolicy(PolicyRef("web", revision, offer_digest(vouched)), vouched.SerializeToString())


def accept(content: StoredPolicy, stores: Stores) -> None:
    stores.policies.accept(content)


def test_at_a_start_the_active_policy_decides_even_when_it_has_expired(bench: Bench) -> None:
    assert stored_policy(bench.recorder, JUDGE, NOW) is None
    vouched = signed_policy(expiring(policy(3), NOW - timedelta(days=30)), ANNA)
    bench.do(partial(accept, stored(vouched, 3)))
    found = stored_policy(bench.recorder, JUDGE, NOW)
    assert found is not None
    assert found[0].revision == 3
    assert found[1] == vouched


def test_one_that_no_longer_stands_up_gives_way_to_the_last_good_one(bench: Bench) -> None:
    good, forged = signed_policy(policy(3), ANNA), signed_policy(policy(4), MALLORY)
    bench.do(partial(accept, stored(good, 3)))
    bench.do(partial(accept, stored(forged, 4)))
    found = stored_policy(bench.recorder, JUDGE, NOW)
    assert found is not None
    assert found[0].revision == 3
    status = bench.do(lambda stores: stores.policies.status(JUDGE.digest))
    assert (status.active.revision, status.rejected.policy.revision) == (3, 4)


def test_where_none_stands_up_there_is_none(bench: Bench) -> None:
    for revision in (3, 4):
        bench.do(partial(accept, stored(signed_policy(policy(revision), MALLORY), revision)))
    assert stored_policy(bench.recorder, JUDGE, NOW) is None
    assert bench.do(lambda stores: stores.policies.active()) is None
