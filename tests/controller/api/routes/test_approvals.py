"""A person's yes or no: to what was shown, once, on the record."""

from datetime import timedelta
from typing import Any

import pytest
from fixtures_controller import closed
from fixtures_web import Web, a_run, push_more

from fakes.moved_clock import MovedClock
from homeostat.wire.v1 import incident_pb2, policy_pb2
from homeostat_controller.policies.signing import GRANT_TAG
from homeostat_controller.store import approvals
from homeostat_controller.store.approvals import ReceiptRow


def shown(web: Web, pack: str = "pack-2") -> dict[str, Any]:
    with web.client() as admin:
        found: dict[str, Any] = admin.get(f"/api/v1/approvals/{pack}").json()
        return found


def post(web: Web, verb: str, body: dict[str, Any], pack: str = "pack-2") -> Any:
    with web.client() as admin:
        return admin.post(f"/api/v1/approvals/{pack}/{verb}", json=body)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 1),
        ("status:waiting risk:medium", 1),
        ("status:approved", 0),
        ("db-1 playbook:restart", 1),
        ("created:>1h", 0),
    ],
)
def test_approvals_by_filter(seen: Web, query: str, found: int) -> None:
    with seen.client() as admin:
        assert admin.get("/api/v1/approvals", params={"q": query}).json()["total"] == found


def test_everything_a_person_needs_to_decide(seen: Web) -> None:
    found = shown(seen)
    assert found["plan"] == {
        "forward": ["restart service web"],
        "backward": [],
        "expected_effect": "web runs again",
        "findings": [],
    }
    assert (found["risk"], found["undo"]) == ("medium", "A restart cannot be undone.")
    assert found["why_asked"] == "restart_service is of medium risk."
    assert found["target"]["endpoint_id"] == "ep-2"
    assert len(found["target"]["plan_digest"]) == 64
    assert found["target"]["state_digest"] == "00" * 32
    assert found["policy"] == {"name": "web", "revision": 1, "sha256": ""}


def test_a_yes_becomes_a_signed_grant_for_the_plan_that_was_shown(web: Web) -> None:
    pack = shown(web)
    answer = post(web, "approve", {"reason": "Checked.", "expected": pack["target"]})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["status"], after["decided_by"], after["reason"]) == ("approved", "admin", "Checked.")
    with web.core.database.read() as connection:
        (grant,) = approvals.pending(connection, "ep-2", web.core.clock()).grants
    signed = policy_pb2.Signed.FromString(grant)
    assert web.core.signer.holds(GRANT_TAG, signed)
    said = incident_pb2.Grant.FromString(signed.payload)
    assert (said.pack_id, said.endpoint_id, said.approver) == ("pack-2", "ep-2", "admin")
    assert said.plan_digest.hex() == pack["target"]["plan_digest"]


@pytest.mark.parametrize("field", ["endpoint_id", "incident_id", "plan_digest", "state_digest"])
def test_a_yes_to_something_else_is_refused(web: Web, field: str) -> None:
    target = {**shown(web)["target"], field: "something else"}
    answer = post(web, "approve", {"reason": "Checked.", "expected": target})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:homeostat:problem:approval-refused"
    assert shown(web)["status"] == "waiting"


def test_it_is_answered_once(web: Web) -> None:
    pack = shown(web)
    assert post(web, "deny", {"reason": "Not now."}).status_code == 200
    again = post(web, "approve", {"reason": "Checked.", "expected": pack["target"]})
    assert again.status_code == 409
    assert "it is denied" in again.json()["detail"]
    assert shown(web)["status"] == "denied"


def test_the_answer_comes_too_late_when_the_pack_has_expired(web: Web, clock: MovedClock) -> None:
    pack = shown(web)
    clock.advance(timedelta(hours=1))
    answer = post(web, "approve", {"reason": "Checked.", "expected": pack["target"]})
    assert answer.status_code == 409
    assert "it has expired" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"reason": "Checked."}, {"reason": " ", "expected": {}}, {"reason": "x", "expected": "all"}]
)
def test_a_yes_needs_a_reason_and_a_target(web: Web, body: dict[str, Any]) -> None:
    assert post(web, "approve", body).status_code == 422
    assert shown(web)["status"] == "waiting"


def test_answers_stand_in_the_audit_log(web: Web) -> None:
    post(web, "deny", {"reason": "Not now."})
    with web.client() as admin:
        entries = admin.get("/api/v1/audit", params={"verb": "deny"}).json()["items"]
    assert [(one["actor"], one["object_id"], one["detail"]["note"]) for one in entries] == [
        ("admin", "pack-2", "Not now.")
    ]


def test_what_came_of_it(web: Web) -> None:
    pack = shown(web)
    post(web, "approve", {"reason": "Checked.", "expected": pack["target"]})
    with web.core.database.write() as connection:
        approvals.receive(connection, [ReceiptRow("ep-2", "pack-2", "accepted", "")], web.core.clock())
    push_more(web.core, "ep-2", a_run("pack-2"), closed("inc-2"))
    found = shown(web)
    assert (found["status"], found["receipt"]) == ("used", "accepted")
    assert (found["run_id"], found["run_ending"]) == ("run-2", "healed")


def test_an_approval_that_does_not_exist(seen: Web) -> None:
    with seen.client() as admin:
        assert admin.get("/api/v1/approvals/none").status_code == 404
        assert admin.post("/api/v1/approvals/none/deny", json={"reason": "x"}).status_code == 404
