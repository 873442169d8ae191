from fixtures_web import Web
from sqlalchemy import text


def test_what_was_done_is_listed_and_whole(web: Web) -> None:
    with web.client() as admin:
        admin.post("/api/v1/enrolment-tokens", json={})
        entries = admin.get("/api/v1/audit").json()
        of_admin = admin.get("/api/v1/audit", params={"actor": "admin"}).json()
        verdict = admin.get("/api/v1/audit/verification").json()
    assert [one["sequence"] for one in entries["items"]] == sorted(
        (one["sequence"] for one in entries["items"]), reverse=True
    )
    assert [(one["verb"], one["object_kind"]) for one in of_admin["items"]] == [("create", "enrolment-token")]
    assert verdict == {"entries": entries["total"], "whole": True, "problem": ""}


def test_a_change_behind_its_back_is_found(web: Web) -> None:
    with web.core.database.write() as connection:
        connection.execute(text("UPDATE audit_entry SET actor = 'nobody' WHERE sequence = 1"))
    with web.client() as admin:
        verdict = admin.get("/api/v1/audit/verification").json()
    assert verdict == {"entries": 0, "whole": False, "problem": "entry 1 was changed"}
