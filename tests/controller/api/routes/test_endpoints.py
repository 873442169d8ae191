"""The fleet by the filter language, in pages, and one endpoint."""

import pytest
from fixtures_controller import add_endpoint
from fixtures_web import Web

from homeostat_controller.store import endpoint_changes, session_states


def names(web: Web, query: str) -> list[str]:
    with web.client() as admin:
        answer = admin.get("/api/v1/endpoints", params={"q": query})
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["db-1", "kiosk-1", "web-1"]),
        ("web", ["web-1"]),
        ("WEB", ["web-1"]),
        ("-web", ["db-1", "kiosk-1"]),
        ("name:*-1 -label.role:db", ["kiosk-1", "web-1"]),
        ("label.role:web,db", ["db-1", "web-1"]),
        ("label.role:w*", ["web-1"]),
        ("label.tier:gold label.role:db", []),
        ("status:offline", ["db-1", "kiosk-1", "web-1"]),
        ("-status:offline", []),
        ("os:debian site:default", ["db-1", "kiosk-1", "web-1"]),
        ("last_seen:<1h", []),
        ("-last_seen:<1h", ["db-1", "kiosk-1", "web-1"]),
        ("open_incidents:0 kiosk", ["kiosk-1"]),
        ("policy:none", []),
        ("100%", []),
        ("name:web_1", []),
    ],
)
def test_the_filter_language_means_what_it_says(seen: Web, query: str, found: list[str]) -> None:
    assert names(seen, query) == found


def test_a_mistake_in_a_filter_has_a_place_and_a_cure(seen: Web) -> None:
    with seen.client() as admin:
        answer = admin.get("/api/v1/endpoints", params={"q": "web statu:ok"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:homeostat:problem:bad-filter"
    assert problem["next"] == "Did you mean status?"
    assert problem["errors"] == [{"where": "q:5", "sentence": "There is no field 'statu' to filter by."}]


def test_pages_visit_each_endpoint_once_and_know_the_total(seen: Web) -> None:
    found, after = [], ""
    with seen.client() as admin:
        for _ in range(3):
            page = admin.get("/api/v1/endpoints", params={"limit": 1, "after": after}).json()
            assert (page["total"], len(page["items"])) == (3, 1)
            found.append(page["items"][0]["name"])
            after = page["next"]
    assert after == ""
    assert found == ["db-1", "kiosk-1", "web-1"]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"after": "!"}, {"q": "x" * 501}])
def test_what_is_no_page_is_refused(seen: Web, query: dict[str, str]) -> None:
    with seen.client() as admin:
        answer = admin.get("/api/v1/endpoints", params=query)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:homeostat:problem:bad-request"


def test_one_endpoint_by_id_or_name(seen: Web) -> None:
    with seen.client() as admin:
        by_id = admin.get("/api/v1/endpoints/ep-1").json()
        by_name = admin.get("/api/v1/endpoints/web-1").json()
    assert by_id == by_name
    assert by_id["place"] == "default / default / default"
    assert by_id["labels"] == {"role": "web", "tier": "gold"}
    assert by_id["services"] == []
    assert by_id["policy_status"]["offered"] == {"name": "", "revision": 0, "sha256": ""}


def test_a_name_that_several_share_asks_for_an_id(web: Web) -> None:
    add_endpoint(web.core.database, "ep-9", name="web-1")
    with web.client() as admin:
        answer = admin.get("/api/v1/endpoints/web-1")
    assert answer.status_code == 409
    assert "ep-1" in answer.json()["detail"]


def test_what_an_agent_says_of_itself_is_shown_and_what_is_odd_is_left_out(web: Web) -> None:
    now = web.core.clock()
    state = {
        "services": [{"name": "web", "state": "running", "pid": 7}, "odd", {"pid": "9"}],
        "metrics": {"cpu.busy": 4.5, "odd": "NaN"},
        "anomaly_p_value": 0.25,
        "outbox_records": 3,
        "open_incidents": 1,
    }
    report = session_states.Report(
        "ep-1", now, connected=True, state=session_states.StateRow("degraded", "disk fills", state, now)
    )
    with web.core.database.write() as connection:
        session_states.write(connection, [report])
    with web.client() as admin:
        found = admin.get("/api/v1/endpoints/ep-1").json()
        assert found["services"][0] == {"name": "web", "state": "running", "pid": 7}
        assert found["services"][1] == {"name": "", "state": "unknown", "pid": 0}
        assert found["metrics"] == {"cpu.busy": 4.5}
        assert (found["anomaly_p_value"], found["outbox_records"], found["open_incidents"]) == (0.25, 3, 1)


def test_an_endpoint_that_is_kept_out_says_that_first(web: Web) -> None:
    with web.core.database.write() as connection:
        endpoint_changes.set_standing(connection, "ep-1", "frozen", "its token was used twice")
    with web.client() as admin:
        found = admin.get("/api/v1/endpoints/ep-1").json()
        frozen = admin.get("/api/v1/endpoints", params={"q": "standing:frozen"}).json()["items"]
    assert (found["status"], found["detail"]) == ("frozen", "its token was used twice")
    assert [one["id"] for one in frozen] == ["ep-1"]
