"""Policies through the API: checked, published whole or not at all, followed on each endpoint."""

from dataclasses import replace
from typing import Any

import pytest
from fixtures_web import POLICY, Web

from homeostat.policy import Selector
from homeostat.wire.v1 import policy_pb2
from homeostat_controller.policies.document import compile_policy, to_yaml
from homeostat_controller.policies.signing import POLICY_TAG
from homeostat_controller.store import policies, session_states

BROKEN = POLICY.replace("level: ask", "level: sometimes")


def publish(web: Web, text: str) -> Any:
    with web.client() as admin:
        return admin.post("/api/v1/policies", json={"text": text, "file": "web.yaml"})


def selecting(**labels: str) -> str:
    """The policy, for endpoints with these labels only."""

    policy = compile_policy(POLICY).policy
    assert policy is not None
    return to_yaml(replace(policy, selector=Selector({key: (value,) for key, value in labels.items()})))


def test_a_good_document_is_found_good_and_kept_nowhere(seen: Web) -> None:
    with seen.client() as admin:
        assert admin.post("/api/v1/policies/check", json={"text": POLICY}).json() == {"valid": True, "mistakes": []}
        assert admin.get("/api/v1/policies").json()["total"] == 0


def test_every_mistake_has_its_place(seen: Web) -> None:
    with seen.client() as admin:
        found = admin.post("/api/v1/policies/check", json={"text": BROKEN}).json()
    assert not found["valid"]
    (mistake,) = found["mistakes"]
    assert (mistake["line"], mistake["path"]) == (9, "rules.0.level")
    assert mistake["sentence"]


def test_a_document_with_a_mistake_changes_nothing(web: Web) -> None:
    answer = publish(web, BROKEN)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:homeostat:problem:policy-refused"
    assert problem["errors"][0]["where"].startswith("web.yaml:9:")
    with web.client() as admin:
        assert admin.get("/api/v1/policies").json()["total"] == 0
        assert admin.get("/api/v1/audit", params={"verb": "publish"}).json()["total"] == 0


def test_publishing_signs_numbers_and_records(web: Web) -> None:
    made = publish(web, POLICY)
    assert made.status_code == 201
    assert {**made.json(), "sha256": ""} == {
        "name": "web",
        "revision": 1,
        "sha256": "",
        "endpoints": 3,
        "lab_keys": True,
    }
    with web.core.database.read() as connection:
        (stored,) = policies.published(connection)
    assert web.core.signer.holds(POLICY_TAG, policy_pb2.Signed.FromString(stored.signed))
    with web.client() as admin:
        detail = admin.get("/api/v1/policies/web").json()
        listed = admin.get("/api/v1/policies").json()
    assert (detail["text"], detail["revision"], detail["author"]) == (POLICY, 1, "admin")
    assert detail["sha256"] == made.json()["sha256"] == stored.sha256.hex()
    assert (listed["total"], listed["lab_keys"], listed["items"][0]["revision"]) == (1, True, 1)


def test_what_became_of_it_on_each_endpoint(web: Web) -> None:
    digest = bytes.fromhex(publish(web, POLICY).json()["sha256"])
    now = web.core.clock()
    said = {
        "ep-1": {"offered_name": "web", "offered_revision": 1, "active_name": "web", "active_revision": 1},
        "ep-2": {"rejected_name": "web", "rejected_revision": 1, "rejected_reason": "semantics 2", "rejected_at": now},
    }
    with web.core.database.write() as connection:
        session_states.write(connection, [report(one, now, digest, **values) for one, values in said.items()])
    with web.client() as admin:
        page = admin.get("/api/v1/policies/web/status").json()
    found = {one["endpoint"]: one for one in page["items"]}
    assert {name: one["state"] for name, one in found.items()} == {
        "web-1": "active",
        "db-1": "rejected",
        "kiosk-1": "pending",
    }
    assert found["db-1"]["status"]["rejected_reason"] == "semantics 2"
    assert page["total"] == 3


def report(endpoint_id: str, now: Any, digest: bytes, **values: Any) -> session_states.Report:
    row = {
        "offered_name": "",
        "offered_revision": 0,
        "offered_sha256": b"",
        "active_name": "",
        "active_revision": 0,
        "active_sha256": digest,
        "last_good_name": "",
        "last_good_revision": 0,
        "last_good_sha256": b"",
        "rejected_name": "",
        "rejected_revision": 0,
        "rejected_sha256": b"",
        "rejected_reason": "",
        "rejected_at": None,
    }
    return session_states.Report(endpoint_id, now, connected=True, policy=session_states.PolicyRow(**{**row, **values}))


def test_only_selected_endpoints_count_and_a_better_policy_outranks(web: Web) -> None:
    assert publish(web, selecting(role="web")).json()["endpoints"] == 1
    publish(web, POLICY.replace("name: web", "name: all", 1) + "priority: 9\n")
    with web.client() as admin:
        page = admin.get("/api/v1/policies/web/status").json()
    assert [(one["endpoint"], one["state"]) for one in page["items"]] == [("web-1", "outranked")]


@pytest.mark.parametrize("path", ["/api/v1/policies/none", "/api/v1/policies/none/status"])
def test_a_policy_that_does_not_exist(seen: Web, path: str) -> None:
    with seen.client() as admin:
        assert admin.get(path).status_code == 404
