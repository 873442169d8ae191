"""The gate over a real socket: names, tokens, cookies, origins, CSRF."""

import socket
from urllib.parse import urlsplit

import pytest
from fixtures_web import Web, signed_in

from homeostat_controller.api.gate import CREDENTIAL_CHARACTERS_MAX, FORM_BYTES_MAX, FORM_FIELDS_MAX, form, is_public
from homeostat_controller.api.sessions import COOKIE


def test_what_is_public() -> None:
    assert is_public("/healthz")
    assert is_public("/static/console.css")
    assert not is_public("/static")
    assert not is_public("/healthz/")
    assert not is_public("/api/v1/session/welcome/x")


@pytest.mark.parametrize("host", ["homeostat.example", "127.0.0.2", "", "localhost.evil.example", "[::2]:80"])
def test_a_name_that_is_not_ours_is_refused(seen: Web, host: str) -> None:
    with seen.client(Host=host) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 421 if host else 400
    if host:
        assert answer.json()["next"] == "Add the name to `names` in controller.toml."


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8440", "127.0.0.1", "[::1]:8440"])
def test_our_own_names_are_taken_with_any_port(seen: Web, host: str) -> None:
    with seen.client(Host=host) as client:
        assert client.get("/api/v1/session").status_code == 200


@pytest.mark.parametrize("shown", ["", "Basic abc", "Bearer", "Token {token}", "Bearer x{token}", "bearer {token}x"])
def test_what_is_no_token_lets_nobody_in(seen: Web, shown: str) -> None:
    with seen.client("", Authorization=shown.format(token=seen.token)) as client:
        assert client.get("/api/v1/session").status_code == 401


def test_tokens_have_a_bound(seen: Web) -> None:
    for length in (CREDENTIAL_CHARACTERS_MAX, CREDENTIAL_CHARACTERS_MAX + 1):
        with seen.client("x" * length) as client:
            assert client.get("/api/v1/session").status_code == 401


def test_bytes_that_are_no_text_are_refused(seen: Web) -> None:
    place = urlsplit(seen.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as raw:
        raw.sendall(b"GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
        assert b" 401 " in raw.recv(4096).splitlines()[0]


def test_a_session_reads_and_is_named(web: Web) -> None:
    with signed_in(web) as (browser, _):
        assert browser.get("/api/v1/session").json() == {"name": "admin", "scope": "admin", "via": "session"}


def test_a_bad_token_is_not_made_up_for_by_a_good_cookie(web: Web) -> None:
    with signed_in(web) as (browser, _):
        assert browser.get("/api/v1/session", headers={"Authorization": "Bearer made-up"}).status_code == 401


@pytest.mark.parametrize(
    ("origin", "csrf", "status"),
    [
        ("own", "right", 201),
        ("own", "wrong", 403),
        ("own", "", 403),
        ("http://evil.example", "right", 403),
        ("null", "right", 403),
        ("", "right", 403),
    ],
)
def test_a_cookie_alone_changes_nothing(web: Web, origin: str, csrf: str, status: int) -> None:
    with signed_in(web) as (browser, right):
        headers = {"X-CSRF-Token": {"right": right, "wrong": "x" * 43, "": ""}[csrf]}
        if origin:
            headers["Origin"] = web.url if origin == "own" else origin
        else:
            del browser.headers["origin"]
        answer = browser.post("/api/v1/enrolment-tokens", json={}, headers=headers)
        assert answer.status_code == status
        made = browser.get("/api/v1/enrolment-tokens").json()["total"]
    assert made == (1 if status == 201 else 0)


def test_a_form_sends_its_csrf_token_inside_and_arrives_whole(web: Web) -> None:
    with signed_in(web) as (browser, csrf):
        assert browser.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
        assert browser.get("/api/v1/session").status_code == 200
        assert browser.post("/sign-out", data={"csrf": csrf}).status_code == 303
        assert browser.get("/api/v1/session").status_code == 401


def test_a_form_has_a_bound(web: Web) -> None:
    with signed_in(web) as (browser, csrf):
        filled = {"csrf": csrf, "x": "y" * (FORM_BYTES_MAX - len(csrf) - len("csrf=&x="))}
        assert browser.post("/sign-out", data={**filled, "x": filled["x"] + "y"}).status_code == 413
        assert browser.post("/sign-out", data=filled).status_code == 303


def test_a_token_needs_no_origin_and_a_foreign_one_does_not_hurt_it(web: Web) -> None:
    with web.client(Origin="http://elsewhere.example") as client:
        assert client.post("/api/v1/enrolment-tokens", json={}).status_code == 201


def test_signing_in_from_another_page_is_refused(seen: Web) -> None:
    with seen.client("", Origin="http://evil.example") as client:
        assert client.post("/sign-in", data={"token": seen.token}).status_code == 403
        assert client.post("/api/v1/session/welcome", json={"secret": "x"}).status_code == 403


def test_a_person_is_sent_to_the_way_in(seen: Web) -> None:
    with seen.client("", Accept="text/html") as browser:
        answer = browser.get("/incidents")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert browser.get("/api/v1/incidents").status_code == 401
        assert browser.post("/approvals/x").status_code == 401


def test_the_cookie_cannot_be_read_by_script_or_sent_by_other_sites(web: Web) -> None:
    with web.client("", Origin=web.url) as browser:
        cookie = browser.post("/sign-in", data={"token": web.token}).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()


def test_forms_are_read_with_bounds() -> None:
    assert form(b"a=1&b=&a=2&c=%C3%A9") == {"a": "1", "b": "", "c": "é"}
    assert form(b"\xff=1") == {}
    assert len(form("&".join(f"f{number}=1" for number in range(FORM_FIELDS_MAX)).encode())) == FORM_FIELDS_MAX
    assert form("&".join(f"f{number}=1" for number in range(FORM_FIELDS_MAX + 1)).encode()) == {}
