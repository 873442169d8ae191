from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from fixtures_policies import expiring, policy, signed_policy
from fixtures_signing import GRANT_TAG, POLICY_TAG, Signer, signed, trusted

from homeostat.policy import SEMANTICS_VERSION
from homeostat.wire.policies import policy_to_wire
from homeostat.wire.v1 import policy_pb2
from homeostat_agent.decider.link.judgement import REASON_CHARACTERS_MAX, Judge, Sound, Unsound, judge_policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA, MALLORY = Signer(), Signer()
JUDGE = Judge(trusted([ANNA]).SerializeToString(), {"role": "web"}, "1.0")


def judged(vouched: policy_pb2.Signed, judge: Judge = JUDGE) -> Sound | Unsound:
    return judge_policy(vouched.SerializeToString(), judge, NOW)


def test_a_sound_policy_may_decide_here() -> None:
    sound = expiring(policy(7, labels={"role": "web"}), NOW + timedelta(days=1))
    vouched = signed_policy(sound, ANNA)
    verdict = judged(vouched)
    assert isinstance(verdict, Sound)
    assert verdict.policy == sound
    assert (verdict.ref.name, verdict.ref.revision) == ("web", 7)
    assert verdict.ref.sha256 == sha256(vouched.payload).digest()


def of_a_stranger() -> policy_pb2.Signed:
    return signed_policy(policy(), MALLORY)


def of_another_kind() -> policy_pb2.Signed:
    return signed(GRANT_TAG, signed_policy(policy(), ANNA).payload, ANNA)


def that_is_none() -> policy_pb2.Signed:
    return signed(POLICY_TAG, b"\xff\xff", ANNA)


def of_later_semantics() -> policy_pb2.Signed:
    message = policy_to_wire(policy())
    message.semantics = SEMANTICS_VERSION + 1
    message.rules.add(name="what this agent cannot read")
    return signed_policy(message, ANNA)


def of_no_meaning() -> policy_pb2.Signed:
    message = policy_to_wire(policy())
    message.rules[0].delegation.level = policy_pb2.DELEGATION_LEVEL_UNSPECIFIED
    return signed_policy(message, ANNA)


def with_problems() -> policy_pb2.Signed:
    return signed_policy(replace(policy(), playbooks={}), ANNA)


def for_others() -> policy_pb2.Signed:
    return signed_policy(policy(labels={"role": "database"}), ANNA)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (of_a_stranger, "signed by 0 of the trusted keys"),
        (of_another_kind, "signed by 0 of the trusted keys"),
        (that_is_none, "not readable"),
        (of_later_semantics, f"needs an agent of semantics {SEMANTICS_VERSION + 1}"),
        (of_no_meaning, "cannot be understood"),
        (with_problems, "playbook"),
        (for_others, "does not select this endpoint's labels"),
    ],
)
def test_an_unsound_one_may_not_and_that_is_sure(make: Callable[[], policy_pb2.Signed], says: str) -> None:
    verdict = judged(make())
    assert isinstance(verdict, Unsound)
    assert says in verdict.reason
    assert verdict.sure
    assert len(verdict.reason) <= REASON_CHARACTERS_MAX


@pytest.mark.parametrize(("left", "allowed"), [(timedelta(seconds=1), True), (timedelta(), False)])
def test_an_expired_one_is_not_taken_but_the_clock_may_be_wrong(left: timedelta, allowed: bool) -> None:
    verdict = judged(signed_policy(expiring(policy(), NOW + left), ANNA))
    assert isinstance(verdict, Sound) == allowed
    if isinstance(verdict, Unsound):
        assert "It expired at 2026-03-01T12:00:00+00:00." in verdict.reason
        assert not verdict.sure


def test_without_trusted_keys_nothing_is_sound() -> None:
    verdict = judged(signed_policy(policy(), ANNA), replace(JUDGE, trusted_keys=b""))
    assert isinstance(verdict, Unsound)


def test_judges_differ_by_keys_labels_and_version_and_by_nothing_else() -> None:
    others = [
        replace(JUDGE, trusted_keys=b"other"),
        replace(JUDGE, labels={"role": "web", "zone": "a"}),
        replace(JUDGE, agent_version="1.1"),
    ]
    assert len({JUDGE.digest, *(one.digest for one in others)}) == 4
    two = {"role": "web", "zone": "a"}
    assert replace(JUDGE, labels=two).digest == replace(JUDGE, labels=dict(reversed(two.items()))).digest
