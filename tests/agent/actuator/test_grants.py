from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes.actuator_rig import ENDPOINT_ID, Signer, incident, subject
from homeostat.exception_pack import Grant
from homeostat.plan import Plan, RestartService, StartService
from homeostat.wire import plans
from homeostat_agent import trust
from homeostat_agent.actuator import grants
from homeostat_agent.actuator.order import No, Wish

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PLAN = Plan((RestartService("web"),), (), b"s" * 32, "web runs in a new process.", ("A finding.",))
WISH = Wish("run-1", incident(subject("service", "web")), "restart")
GRANT = Grant(
    "pack-1",
    ENDPOINT_ID,
    WISH.incident.id,
    "restart",
    PLAN.state_digest,
    plans.digest(PLAN),
    7,
    "somebody",
    NOW + timedelta(hours=1),
    b"nonce",
)


def objection(grant: Grant, *, endpoint_id: str = ENDPOINT_ID, revision: int = 7, now: datetime = NOW) -> No | None:
    return grants.objection(grant, WISH, endpoint_id, revision, now)


def test_a_grant_that_was_signed_is_read() -> None:
    signer = Signer()
    signed = signer.grant(GRANT).SerializeToString()
    assert grants.read(signed, signer.trusted_keys(), trust.verify) == GRANT


def test_a_grant_by_another_key_is_none() -> None:
    signed = Signer().grant(GRANT).SerializeToString()
    found = grants.read(signed, Signer().trusted_keys(), trust.verify)
    assert isinstance(found, No)
    assert (found.code, found.pack_id) == ("grant-unverified", "")


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff", b"\x0a\x06pack-1"])
def test_signed_nonsense_is_no_grant(payload: bytes) -> None:
    signer = Signer()
    signed = signer.sign("grant", payload).SerializeToString()
    found = grants.read(signed, signer.trusted_keys(), trust.verify)
    assert isinstance(found, No)
    assert found.code == "grant-unverified"


def test_a_policy_s_signature_is_no_grant_s() -> None:
    signer = Signer()
    signed = signer.sign("policy", signer.grant(GRANT).payload).SerializeToString()
    assert isinstance(grants.read(signed, signer.trusted_keys(), trust.verify), No)


def test_the_grant_for_this_wish_here_and_now_meets_no_objection() -> None:
    assert objection(GRANT) is None


@pytest.mark.parametrize(
    ("grant", "code"),
    [
        (replace(GRANT, endpoint_id="endpoint-2"), "grant-other"),
        (replace(GRANT, incident_id="incident-2"), "grant-other"),
        (replace(GRANT, playbook="other"), "grant-other"),
        (replace(GRANT, policy_revision=6), "policy-changed"),
        (replace(GRANT, policy_revision=8), "policy-changed"),
        (replace(GRANT, not_after=NOW), "grant-expired"),
    ],
)
def test_a_grant_for_anything_else_meets_one(grant: Grant, code: str) -> None:
    found = objection(grant)
    assert found is not None
    assert (found.code, found.pack_id) == (code, "pack-1")


def test_a_grant_holds_until_its_last_moment() -> None:
    assert objection(GRANT, now=GRANT.not_after - timedelta(microseconds=1)) is None


def test_an_endpoint_that_is_not_enrolled_takes_no_grant() -> None:
    found = objection(replace(GRANT, endpoint_id=""), endpoint_id="")
    assert found is not None
    assert found.code == "not-enrolled"


def test_a_grant_is_used_once() -> None:
    assert grants.used(GRANT, lambda _nonce: False) is None
    found = grants.used(GRANT, {b"nonce"}.__contains__)
    assert found is not None
    assert found.code == "grant-used"


def test_the_plan_must_be_the_one_that_was_approved() -> None:
    assert grants.changed(GRANT, PLAN) is None
    assert grants.changed(GRANT, replace(PLAN, findings=("Said otherwise.",), expected_effect="Well.")) is None
    for other in (
        replace(PLAN, state_digest=b"t" * 32),
        replace(PLAN, forward=(StartService("web"),)),
        replace(PLAN, forward=(RestartService("web"), RestartService("db"))),
        replace(PLAN, backward=(StartService("web"),)),
    ):
        found = grants.changed(GRANT, other)
        assert found is not None
        assert (found.code, found.pack_id) == ("state-changed", "pack-1")
