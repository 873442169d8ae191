from datetime import timedelta

from fixtures_web import Web, signed_in

from fakes.moved_clock import MovedClock
from homeostat_controller.api.sessions import SESSION_LIFE, WELCOME_LIFE

WELCOME = "/api/v1/session/welcome"


def invite(web: Web) -> str:
    with web.client() as admin:
        made = admin.post("/api/v1/welcome-links")
    assert made.status_code == 201
    url = made.json()["url"]
    assert url.startswith(f"{web.url}/#welcome=")
    return str(url.partition("#welcome=")[2])


def test_a_link_signs_one_browser_in_once(web: Web) -> None:
    secret = invite(web)
    with web.client("", Origin=web.url) as browser, web.client("", Origin=web.url) as second:
        assert browser.post(WELCOME, json={"secret": secret}).json()["via"] == "session"
        assert browser.get("/api/v1/session").status_code == 200
        refused = second.post(WELCOME, json={"secret": secret})
        assert refused.status_code == 401
        assert refused.json()["next"] == "Make another one: homeostat console"
        assert second.get("/api/v1/session").status_code == 401


def test_a_link_is_good_for_a_quarter_of_an_hour(web: Web, clock: MovedClock) -> None:
    secret = invite(web)
    clock.advance(WELCOME_LIFE)
    with web.client("", Origin=web.url) as browser:
        assert browser.post(WELCOME, json={"secret": secret}).status_code == 401


def test_a_session_ends_after_its_life(web: Web, clock: MovedClock) -> None:
    with signed_in(web) as (browser, _):
        clock.advance(SESSION_LIFE - timedelta(seconds=1))
        assert browser.get("/api/v1/session").status_code == 200
        clock.advance(timedelta(seconds=1))
        assert browser.get("/api/v1/session").status_code == 401


def test_a_session_can_be_ended_by_the_api(web: Web) -> None:
    with signed_in(web) as (browser, csrf):
        assert browser.delete("/api/v1/session").status_code == 403
        assert browser.delete("/api/v1/session", headers={"X-CSRF-Token": csrf}).status_code == 204
        assert browser.get("/api/v1/session").status_code == 401


def test_signing_in_stands_in_the_audit_log(web: Web) -> None:
    with signed_in(web) as (browser, _):
        entries = browser.get("/api/v1/audit", params={"verb": "sign-in"}).json()["items"]
    assert [(one["actor"], one["object_kind"]) for one in entries] == [("admin", "console")]


def test_a_token_is_named(seen: Web) -> None:
    with seen.client() as admin:
        assert admin.get("/api/v1/session").json() == {"name": "admin", "scope": "admin", "via": "token"}
