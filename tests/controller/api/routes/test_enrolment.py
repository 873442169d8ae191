from typing import Any

import pytest
from fixtures_web import Web

PATH = "/api/v1/enrolment-tokens"


def test_a_tokens_text_is_told_once(web: Web) -> None:
    with web.client() as admin:
        made = admin.post(PATH, json={"labels": {"role": "web"}, "minutes": 5, "note": "rack 7"})
        listed = admin.get(PATH)
        audited = admin.get("/api/v1/audit")
    assert made.status_code == 201
    token = made.json()["token"]
    assert token.startswith("hst1:")
    assert token not in listed.text + audited.text
    (found,) = listed.json()["items"]
    assert found == {key: value for key, value in made.json().items() if key != "token"}
    assert (found["status"], found["group"], found["labels"]) == ("open", "default/default/default", {"role": "web"})


def test_a_token_is_revoked_once(web: Web) -> None:
    with web.client() as admin:
        made = admin.post(PATH, json={}).json()["id"]
        assert admin.delete(f"{PATH}/{made}").status_code == 204
        assert admin.delete(f"{PATH}/{made}").status_code == 409
        assert admin.get(PATH, params={"status": "revoked"}).json()["total"] == 1
        assert admin.get(PATH, params={"status": "open"}).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"group": "nowhere"}, 404),
        ({"minutes": 0}, 422),
        ({"minutes": 43_200}, 422),
        ({"labels": {"a" * 64: "x"}}, 422),
        ({"labels": {"bad\u0000key": "x"}}, 422),
        ({"colour": "red"}, 422),
    ],
)
def test_what_is_no_token_is_refused(web: Web, body: dict[str, Any], status: int) -> None:
    with web.client() as admin:
        assert admin.post(PATH, json=body).status_code == status
        assert admin.get(PATH).json()["total"] == 0


def test_a_status_that_does_not_exist(seen: Web) -> None:
    with seen.client() as admin:
        assert admin.get(PATH, params={"status": "lost"}).status_code == 422
        assert admin.delete(f"{PATH}/none").status_code == 404
