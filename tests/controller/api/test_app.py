"""The application as a whole, through a real socket: who is let in, and what every answer carries."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from fixtures_web import Web

from homeostat_controller.api.app import create_app
from homeostat_controller.api.gate import PUBLIC
from homeostat_controller.api.headers import HEADERS
from homeostat_controller.api.problems import MEDIA_TYPE
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import tokens


def routes(web: Web) -> Iterator[tuple[str, str]]:
    """Every method and address of the application; where it wants a name, one is made up."""
    for route in iter_route_contexts(create_app_once(web).routes):
        if route.path is None:
            continue
        path = "/".join("some-id" if part.startswith("{") else part for part in route.path.split("/"))
        for method in sorted(route.methods or ()):
            yield method, path


def create_app_once(web: Web) -> Any:
    """The application again, over metrics of its own: its routes are looked at, it does not serve."""

    return create_app(replace(web.core, metrics=Metrics()))


def test_every_route_that_is_not_public_refuses_without_a_token(seen: Web) -> None:
    found = list(routes(seen))
    assert len(found) > 35
    with seen.client("") as nobody, seen.client("made-up") as stranger:
        for method, path in found:
            for client in (nobody, stranger):
                answer = client.request(method, path)
                if path in PUBLIC:
                    assert answer.status_code != 403, (method, path)
                else:
                    assert answer.status_code == 401, (method, path)
                    assert method == "HEAD" or answer.json()["type"] == "urn:homeostat:problem:not-signed-in"
                    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_address_that_does_not_exist_is_refused_alike(seen: Web) -> None:
    with seen.client("") as nobody, seen.client() as admin:
        assert nobody.get("/no/such/thing").status_code == 401
        assert admin.get("/no/such/thing").status_code == 404
        assert admin.get("/no/such/thing").json()["title"] == "There is no such address."
        assert admin.put("/api/v1/endpoints").json()["title"] == "This address cannot be asked that way."


@pytest.mark.parametrize(
    "path", ["/healthz", "/sign-in", "/", "/static/console.css", "/static/nothing", "/api/v1/nothing", "/openapi.json"]
)
def test_every_answer_tells_the_browser_to_run_nothing_foreign(seen: Web, path: str) -> None:
    with seen.client() as admin:
        answer = admin.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "server" not in answer.headers or "uvicorn" in answer.headers["server"]


def test_the_contract_is_complete(seen: Web) -> None:
    with seen.client() as admin:
        contract = admin.get("/openapi.json").json()
    operations = [one for path in contract["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    assert {"list_endpoints", "get_incident_timeline", "approve", "publish_policy", "verify_audit"} <= set(ids)
    assert not [one["operationId"] for one in operations if not one.get("description")]
    of_api = [
        one for path, methods in contract["paths"].items() if path.startswith("/api/") for one in methods.values()
    ]
    for one in of_api:
        assert "default" in one["responses"], one["operationId"]
        assert one["security"], one["operationId"]
    assert not [path for path in contract["paths"] if path in ("/", "/sign-in")]


def test_a_problem_says_what_why_and_next(seen: Web) -> None:
    with seen.client() as admin:
        answer = admin.get("/api/v1/endpoints/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json() == {
        "type": "urn:homeostat:problem:not-found",
        "title": "There is no such thing.",
        "status": 404,
        "detail": "There is no endpoint 'nobody'.",
        "next": "List what there is, and check the name.",
        "errors": [],
    }


def test_only_an_administrators_live_token_lets_in(web: Web) -> None:

    now = web.core.clock()
    with web.core.database.write() as connection:
        narrow = tokens.NewApiToken("api-2", "reader", "reader-secret", "read", "admin")
        over = tokens.NewApiToken("api-3", "old", "old-secret", "admin", "admin", expires_at=now)
        other = tokens.NewApiToken("api-4", "second", "second-secret", "admin", "admin")
        for one in (narrow, over, other):
            tokens.add_api_token(connection, one, now)
    for token, status in (("reader-secret", 401), ("old-secret", 401), ("second-secret", 200)):
        with web.client(token) as client:
            assert client.get("/api/v1/session").status_code == status
    with web.core.database.write() as connection:
        tokens.revoke_api_token(connection, "api-4", now)
    with web.client("second-secret") as client:
        assert client.get("/api/v1/session").status_code == 401
