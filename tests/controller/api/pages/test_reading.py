"""The pages through a real socket, and what hostile endpoints make of them: text."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixtures_controller import add_endpoint, decided, opened, outcome, pack
from fixtures_web import POLICY, Web, core_on, push, serving

from fakes.moved_clock import MovedClock
from homeostat_controller.store import session_states

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}{% raw %}\u202e"
PAGES = (
    "/",
    "/endpoints/ep-1",
    "/incidents",
    "/incidents/inc-1",
    "/incidents/inc-2",
    "/approvals",
    "/approvals/pack-2",
    "/policies",
)


class Outline(HTMLParser):
    """What a browser would make of a page: its elements and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def read(web: Web, path: str, status: int = 200) -> str:
    with web.client(Accept="text/html") as admin:
        answer = admin.get(path)
    assert answer.status_code == status, (path, answer.text[:300])
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_drawn_with_nothing_inline_and_nothing_foreign(seen: Web, path: str) -> None:
    outline = Outline(read(seen, path))
    for tag, attributes in outline.elements:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)
        for address in (attributes.get(name) for name in ("src", "href", "action")):
            assert address is None or address.startswith(("/", "?", "#")), address
    scripts = [attributes for tag, attributes in outline.elements if tag == "script"]
    assert [one["src"] for one in scripts] == ["/static/console.js"]


def test_the_overview_shows_the_fleet_what_waits_and_the_last_repair(seen: Web) -> None:
    page = read(seen, "/")
    for shown in ("web-1", "db-1", "kiosk-1", "Look and decide", "restart_service is of medium risk.", "Lab keys."):
        assert shown in page
    assert page.count("<tr data-key") == 3


def test_a_list_is_filtered_by_its_address(seen: Web) -> None:
    assert read(seen, "/?q=label.role:web").count("<tr data-key") == 1
    assert read(seen, "/incidents?q=status:healed").count("<tr data-key") == 1
    assert read(seen, "/approvals?q=status:denied").count("<tr data-key") == 0


def test_a_mistake_in_a_filter_stands_beside_it(seen: Web) -> None:
    page = read(seen, "/?q=statu:ok")
    assert "Did you mean status?" in page
    assert 'value="statu:ok"' in page


def test_a_list_leads_to_its_next_page_with_its_filter(seen: Web) -> None:
    page = read(seen, "/?q=status:offline&limit=1")
    (address,) = [
        one["href"]
        for tag, one in Outline(page).elements
        if tag == "a" and (one.get("href") or "").startswith("?q=status%3Aoffline&after=")
    ]
    assert "1 of 3" in page
    assert read(seen, f"/{address}&limit=1").count("<tr data-key") == 1


@pytest.mark.parametrize("path", ["/incidents/none", "/approvals/none", "/endpoints/none", "/policies/none"])
def test_what_does_not_exist_is_a_page_that_says_so(seen: Web, path: str) -> None:
    page = read(seen, path, 404)
    assert "There is no such thing." in page
    assert "Back to the overview" in page


def test_a_page_that_cannot_be_is_a_page_that_says_so(seen: Web) -> None:
    assert "This address cannot be read." in read(seen, "/?limit=x", 422)
    assert "This cursor is none of this list" in read(seen, "/?after=!", 422)


def test_an_empty_controller_says_what_to_do_next(migrated_sqlite: Path, tmp_path: Path, clock: MovedClock) -> None:
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core, serving(core) as web:
        says_what_to_do_next(web)


def says_what_to_do_next(web: Web) -> None:
    assert "homeostat enrol token create" in read(web, "/")
    assert "Nothing has gone wrong yet" in read(web, "/incidents")
    assert "Nothing waits for a person" in read(web, "/approvals")
    assert "homeostat policy new" in read(web, "/policies")


def test_a_published_policy_shows_where_it_stands(web: Web) -> None:
    with web.client() as admin:
        admin.post("/api/v1/policies", json={"text": POLICY})
    page = read(web, "/policies/web")
    assert "pending" in page
    assert "restart_service" in page
    assert "/policies/web" in read(web, "/policies")


def test_nothing_an_endpoint_says_becomes_markup(web: Web) -> None:
    hostile_fleet(web)
    for path in (*PAGES[2:3], *hostile_pages()):
        page = read(web, path)
        outline = Outline(page)
        assert [one["src"] for tag, one in outline.elements if tag == "script"] == ["/static/console.js"], path
        assert {one["src"] for tag, one in outline.elements if tag == "img"} == {"/static/logo.svg"}, path
        assert not [one for _, one in outline.elements if "onerror" in one], path
        assert "49" not in page.partition(">\"'")[2][:10]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, path


def hostile_pages() -> Iterator[str]:
    yield from ("/", "/endpoints/ep-x", "/incidents?q=endpoint_id:ep-x", "/incidents/inc-x", "/approvals")
    yield from ("/approvals/pack-x", "/?q=%3Cscript%3Ealert(1)%3C/script%3E")


def hostile_fleet(web: Web) -> None:
    """An endpoint that puts markup wherever a text goes."""
    add_endpoint(web.core.database, "ep-x", name=HOSTILE, labels={HOSTILE[:40]: HOSTILE[:60]})
    events = [opened("inc-x"), decided("inc-x"), pack("pack-x", "inc-x"), outcome("run-x", "inc-x", pack_id="pack-x")]
    for event in events:
        spoil(event)
    push(web.core, "ep-x", *events)
    now = web.core.clock()
    services = [{"name": HOSTILE, "state": HOSTILE, "pid": 1}]
    state = session_states.StateRow(
        HOSTILE, HOSTILE, {"services": services, "metrics": {HOSTILE: 1.0}, "open_incidents": 1}, now
    )
    hello = session_states.HelloRow(HOSTILE, 1, 1, HOSTILE, "boot", {"os": HOSTILE, "hostname": HOSTILE}, None)
    policy = session_states.PolicyRow(
        offered_name=HOSTILE,
        offered_revision=1,
        offered_sha256=b"o" * 32,
        active_name=HOSTILE,
        active_revision=1,
        active_sha256=b"",
        last_good_name=HOSTILE,
        last_good_revision=1,
        last_good_sha256=b"l" * 32,
        rejected_name=HOSTILE,
        rejected_revision=1,
        rejected_sha256=b"",
        rejected_reason=HOSTILE,
        rejected_at=now,
    )
    report = session_states.Report("ep-x", now, connected=True, hello=hello, state=state, policy=policy)
    with web.core.database.write() as connection:
        session_states.write(connection, [report])


def spoil(message: object, spared: tuple[str, ...] = ("id", "incident_id", "run_id", "pack_id")) -> None:
    """Put HOSTILE into every text of a message but its identifiers."""
    for field in message.DESCRIPTOR.fields:  # type: ignore[attr-defined]  # any protobuf message
        value = getattr(message, field.name)
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            inside = value if field.is_repeated else [value] if message.HasField(field.name) else []  # type: ignore[attr-defined]  # as above
            for one in inside:
                spoil(one, spared)
        elif field.type == field.TYPE_STRING and field.name not in spared:
            if field.is_repeated:
                value[:] = [HOSTILE]
            else:
                setattr(message, field.name, HOSTILE)


def test_the_hostile_fleet_is_as_hostile_as_it_should_be() -> None:
    event = pack("pack-x", "inc-x")
    spoil(event)
    said = event.exception_pack
    assert (
        said.incident.fault == said.decision.reason.sentence == said.plan.forward[0].restart_service.service == HOSTILE
    )
    assert said.id == "pack-x"
