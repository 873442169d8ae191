"""The console in a real browser: signed in by a link, kept fresh without losing anything, and a yes that arrives."""

import shutil
from collections.abc import Iterator

import pytest
from fixtures_controller import add_endpoint
from fixtures_web import Web
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from homeostat_controller.store import session_states

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
# Some refresh periods of the page.
REFRESHED_MS_MAX = 15_000

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = shutil.which("chromium")
        assert found, "Chromium is missing (Debian: chromium)"
        opened = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, web: Web) -> Iterator[Page]:
    """A signed-in page that complains of anything the browser complains of."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    with web.client() as admin:
        link = admin.post("/api/v1/welcome-links").json()["url"]
    opened.goto(link)
    expect(opened.get_by_role("heading", name="Overview")).to_be_visible()
    yield opened
    context.close()
    assert complaints == []


def _is_complaint(message: ConsoleMessage) -> bool:
    return message.type == "error" and "ERR_INTERNET_DISCONNECTED" not in message.text  # a test pulls the plug


def report(web: Web, endpoint_id: str, health: str, detail: str) -> None:
    now = web.core.clock()
    state = session_states.StateRow(health, detail, {"open_incidents": 1}, now)
    with web.core.database.write() as connection:
        session_states.write(connection, [session_states.Report(endpoint_id, now, connected=True, state=state)])


def test_the_link_signs_in_and_its_secret_leaves_the_address(page: Page, web: Web) -> None:
    assert page.url == f"{web.url}/"
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.get_by_text("Look and decide")).to_be_visible()


def test_values_change_in_place_and_what_was_typed_stays(page: Page, web: Web) -> None:
    row = page.locator("tr", has_text="web-1")
    expect(row).to_contain_text("offline")
    page.keyboard.press("/")
    page.keyboard.type("label.role:w")
    page.evaluate("() => { document.querySelector('tbody tr').marked = true; window.scrollTo(0, 120); }")
    report(web, "ep-1", "degraded", "disk fills")
    expect(row).to_contain_text("degraded", timeout=REFRESHED_MS_MAX)
    expect(row).to_contain_text("disk fills")
    expect(page.get_by_role("searchbox")).to_have_value("label.role:w")
    expect(page.get_by_role("searchbox")).to_be_focused()
    assert page.evaluate("() => document.querySelector('tbody tr').marked")
    assert page.evaluate("() => window.scrollY") == 120 or page.evaluate(
        "() => document.documentElement.scrollHeight <= innerHeight + 120"
    )


def test_a_new_row_waits_until_it_is_wanted(page: Page, web: Web) -> None:
    add_endpoint(web.core.database, "ep-0", name="a-new-one")
    button = page.get_by_role("button", name="update")
    expect(button).to_be_visible(timeout=REFRESHED_MS_MAX)
    expect(page.locator("tbody tr")).to_have_count(3)
    button.click()
    expect(page.locator("tbody tr")).to_have_count(4)
    expect(button).to_be_hidden()


def test_a_filter_is_in_the_address_and_survives_a_reload(page: Page) -> None:
    page.get_by_role("searchbox").fill("label.role:web")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("label.role:web")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_person_approves_what_is_shown(page: Page, web: Web) -> None:
    page.get_by_text("Look and decide").click()
    expect(page.get_by_text("restart service web")).to_be_visible()
    page.get_by_label("Reason").fill("Looked at it.")
    page.get_by_role("button", name="Approve on 1 endpoint").click()
    expect(page.locator(".answer")).to_contain_text("approved")
    with web.client() as admin:
        assert admin.get("/api/v1/approvals/pack-2").json()["reason"] == "Looked at it."


def test_a_controller_that_is_gone_is_said_so_and_the_page_stays(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_have_text("not reached; shown as it was", timeout=REFRESHED_MS_MAX)
    expect(page.locator("tbody tr")).to_have_count(3)
    page.context.set_offline(False)
    expect(page.get_by_role("status")).to_have_text("live", timeout=REFRESHED_MS_MAX)


def test_every_page_fits_a_phone_in_light_and_dark(page: Page, web: Web) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for path in ("/", "/incidents", "/incidents/inc-2", "/approvals", "/approvals/pack-2", "/endpoints/ep-1"):
            page.goto(web.url + path)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, (scheme, path)
