import pytest
from fixtures_web import Web


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["inc-2", "inc-1"]),
        ("status:healed", ["inc-1"]),
        ("status:waiting", ["inc-2"]),
        ("endpoint:db-1", ["inc-2"]),
        ("fault:service-down subject:service:web", ["inc-2", "inc-1"]),
        ("opened:<1d confidence:>0.5", ["inc-2", "inc-1"]),
        ("closed:<1d", ["inc-1"]),
        ("label.role:web", ["inc-1"]),
        ("decision:act", []),
    ],
)
def test_incidents_by_filter(seen: Web, query: str, found: list[str]) -> None:
    with seen.client() as admin:
        items = admin.get("/api/v1/incidents", params={"q": query}).json()["items"]
    assert sorted(one["id"] for one in items) == sorted(found)


def test_one_incident_in_full(seen: Web) -> None:
    with seen.client() as admin:
        found = admin.get("/api/v1/incidents/inc-2").json()
        timeline = admin.get("/api/v1/incidents/inc-2/timeline").json()
    assert found["status"] == "waiting"
    assert found["evidence"] == [{"kind": "service-exited", "sentence": "service exited on service:web"}]
    assert found["reason"] == "restart_service is of medium risk."
    assert found["approval_id"] == "pack-2"
    assert timeline == {"incident_id": "inc-2", "steps": found["steps"]}
    assert [one["step"] for one in found["steps"]][:3] == ["detected", "decided", "asked"]


@pytest.mark.parametrize("path", ["/api/v1/incidents/none", "/api/v1/incidents/none/timeline"])
def test_an_incident_that_does_not_exist(seen: Web, path: str) -> None:
    with seen.client() as admin:
        assert admin.get(path).status_code == 404
