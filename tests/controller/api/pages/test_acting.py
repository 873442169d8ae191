"""The console's forms, as a browser sends them."""

from html import unescape

import httpx
import pytest
from fixtures_web import Web, signed_in

PAGE = "/approvals/pack-2"


def filled(page: str) -> dict[str, str]:
    """The hidden fields of the form on an approval's page."""
    form = page.partition('<form class="decide"')[2].partition("</form>")[0]
    found = {}
    for part in form.split("<input")[1:]:
        name = part.partition('name="')[2].partition('"')[0]
        found[name] = unescape(part.partition('value="')[2].partition('"')[0])
    return found


def answer(browser: httpx.Client, **said: str) -> httpx.Response:
    return browser.post(PAGE, data={**filled(browser.get(PAGE).text), **said})


def test_signing_in_with_a_token_opens_the_console(web: Web) -> None:
    with web.client("", Origin=web.url) as browser:
        page = browser.post("/sign-in", data={"token": "made-up"})
        assert page.status_code == 401
        assert "This token is not known here" in page.text
        assert "made-up" not in page.text
        assert browser.post("/sign-in", data={}).status_code == 401
        done = browser.post("/sign-in", data={"token": f" {web.token} "})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert browser.get("/").status_code == 200


def test_signing_out_shows_the_way_in(web: Web) -> None:
    with signed_in(web) as (browser, csrf):
        done = browser.post("/sign-out", data={"csrf": csrf})
        assert (done.status_code, done.headers["location"]) == (303, "/sign-in")
        assert browser.get("/", headers={"Accept": "text/html"}).headers["location"] == "/sign-in"


def test_the_form_names_its_target_and_how_many_it_touches(web: Web) -> None:
    with signed_in(web) as (browser, _):
        page = browser.get(PAGE).text
    assert "Approve on 1 endpoint" in page
    fields = filled(page)
    assert (fields["endpoint_id"], fields["incident_id"]) == ("ep-2", "inc-2")
    assert len(fields["plan_digest"]) == 64


@pytest.mark.parametrize(("verb", "status"), [("approve", "approved"), ("deny", "denied")])
def test_a_person_answers(web: Web, verb: str, status: str) -> None:
    with signed_in(web) as (browser, _):
        done = answer(browser, answer=verb, reason="Looked at it.")
        assert (done.status_code, done.headers["location"]) == (303, PAGE)
        page = browser.get(PAGE).text
    assert f">{status}<" in page
    assert "Looked at it." in page
    assert "Approve on 1 endpoint" not in page


def test_without_a_reason_nothing_is_answered(web: Web) -> None:
    with signed_in(web) as (browser, _):
        for reason in ("", "  ", "x" * 501):
            page = answer(browser, answer="approve", reason=reason)
            assert page.status_code == 409
            assert "A reason is needed" in page.text
            assert "Approve on 1 endpoint" in page.text


def test_what_changed_since_it_was_shown_is_not_approved_and_the_reason_stays(web: Web) -> None:
    with signed_in(web) as (browser, _):
        page = answer(browser, answer="approve", reason="Looked at <it>.", state_digest="ff" * 32)
        assert page.status_code == 409
        assert "The answer was not taken." in page.text
        assert 'value="Looked at &lt;it&gt;."' in page.text
        assert browser.get("/api/v1/approvals/pack-2").json()["status"] == "waiting"


def test_a_form_from_elsewhere_does_nothing(web: Web) -> None:
    with signed_in(web) as (browser, _):
        said = {**filled(browser.get(PAGE).text), "answer": "approve", "reason": "x"}
        assert browser.post(PAGE, data=said, headers={"Origin": "http://evil.example"}).status_code == 403
        assert browser.post(PAGE, data={**said, "csrf": ""}).status_code == 403
        assert browser.get("/api/v1/approvals/pack-2").json()["status"] == "waiting"


def test_a_form_for_what_does_not_exist(web: Web) -> None:
    with signed_in(web) as (browser, csrf):
        page = browser.post("/approvals/none", data={"csrf": csrf, "answer": "deny", "reason": "x"})
        assert page.status_code == 404
        assert "There is no such thing." in page.text
