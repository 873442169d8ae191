"""From text to publication: what is valid is signed, stored, audited and announced; the rest changes nothing."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures_running import policy_text
from sqlalchemy import select

from fakes.moved_clock import MovedClock
from homeostat.wire.v1 import policy_pb2
from homeostat_controller.errors import Conflict, Invalid, NotFound
from homeostat_controller.metrics import Metrics
from homeostat_controller.policies import document, editing, signing
from homeostat_controller.policies.editing import Editing, PolicyKey, PolicyRefused
from homeostat_controller.policies.signing import POLICY_TAG, Signer
from homeostat_controller.store import audit, policies
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.column_types import Record
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest

WEB = PolicyKey("default", "web")
BROKEN = policy_text().replace("restart_service", "format_disk")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return signing.load_or_create(tmp_path)


@pytest.fixture
def announced() -> list[None]:
    return []


@pytest.fixture
def desk(database: Database, clock: MovedClock, signer: Signer, announced: list[None]) -> Editing:
    made = Editing(database, clock, signer, document.compile_policy, Metrics())
    made.on_published(lambda: announced.append(None))
    return made


def everything(database: Database) -> dict[str, list[object]]:
    with database.read() as connection:
        tables = (Record.metadata.tables[name] for name in ("policy", "policy_revision", "counter", "audit_entry"))
        return {one.name: [tuple(row) for row in connection.execute(select(one))] for one in tables}


def test_a_text_becomes_a_signed_revision(
    database: Database, desk: Editing, signer: Signer, announced: list[None]
) -> None:
    published = desk.publish_text("default", policy_text(), "anna")
    with database.read() as connection:
        (stored,) = policies.published(connection)
        revision = policies.by_revision(connection, published.revision)
        (act,) = audit.list_page(connection, AuditFilter(verb="publish"), PageRequest()).items
    signed = policy_pb2.Signed.FromString(stored.signed)
    policy = policy_pb2.Policy.FromString(signed.payload)
    assert signer.holds(POLICY_TAG, signed)
    assert signed.payload == stored.compiled
    assert stored.sha256 == published.sha256 == hashlib.sha256(signed.payload).digest()
    assert (policy.name, policy.revision, policy.rules[0].name) == ("web", published.revision, "services")
    assert (revision.text, revision.author, revision.published_by) == (policy_text(), "anna", "anna")
    assert (act.actor, act.object_id, act.detail["revision"]) == ("anna", "web", published.revision)
    assert len(announced) == 1


@pytest.mark.parametrize(
    "broken", ["", BROKEN, "a: [", "\x00", "- 1\n- 2", policy_text("Bad Name"), "name: web\nname: db"]
)
def test_what_has_problems_changes_nothing(
    database: Database, desk: Editing, announced: list[None], broken: str
) -> None:
    before = everything(database)
    with pytest.raises(PolicyRefused) as refused:
        desk.publish_text("default", broken, "anna")
    assert refused.value.problems
    assert everything(database) == before
    assert announced == []


def test_a_draft_may_have_problems_and_cannot_be_published(
    database: Database, desk: Editing, announced: list[None]
) -> None:
    assert desk.save_draft(WEB, BROKEN, "anna").problems
    before = everything(database)
    with pytest.raises(PolicyRefused):
        desk.publish(WEB, "anna")
    assert everything(database) == before
    assert not desk.save_draft(WEB, policy_text(), "otto").problems
    assert desk.publish(WEB, "anna").revision == 1
    with database.read() as connection:
        current = policies.current(connection, WEB.pair)
        assert policies.draft(connection, WEB.pair) is None
    assert current is not None
    assert (current.author, current.published_by) == ("otto", "anna")
    with pytest.raises(NotFound):
        desk.publish(WEB, "anna")
    assert len(announced) == 1


def test_a_draft_under_another_name_is_refused(desk: Editing) -> None:
    desk.save_draft(PolicyKey("default", "db"), policy_text("web"), "anna")
    with pytest.raises(PolicyRefused, match="named 'web'"):
        desk.publish(PolicyKey("default", "db"), "anna")


def test_revisions_rise_whoever_publishes_what(desk: Editing) -> None:
    made: list[int] = []

    def publish(number: int) -> None:
        made.append(desk.publish_text("default", policy_text(f"p{number % 4}"), f"person-{number}").revision)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [1, 2, 3, 4]
    assert desk.publish_text("default", policy_text("p1"), "anna").revision == 5


def test_a_draft_that_changed_meanwhile_is_not_published(database: Database, clock: MovedClock, signer: Signer) -> None:
    changed: list[Editing] = []

    def compile_slowly(source: str) -> document.Compiled:
        if changed:
            changed.pop().save_draft(WEB, policy_text(priority=7), "otto")
        return document.compile_policy(source)

    desk = Editing(database, clock, signer, compile_slowly, Metrics())
    desk.save_draft(WEB, policy_text(), "anna")
    changed.append(desk)
    with pytest.raises(Conflict, match="changed"):
        desk.publish(WEB, "anna")
    assert desk.publish(WEB, "anna").revision == 1


def test_withdrawing_and_discarding(database: Database, desk: Editing, announced: list[None]) -> None:
    desk.publish_text("default", policy_text(), "anna")
    desk.save_draft(WEB, policy_text(), "anna")
    desk.discard_draft(WEB, "anna")
    assert desk.withdraw(WEB, "otto") == 1
    with database.read() as connection:
        assert policies.published(connection) == ()
        acts = [one.verb for one in audit.list_page(connection, AuditFilter(), PageRequest()).items]
    assert acts == ["withdraw", "discard-draft", "save-draft", "publish"]
    assert len(announced) == 2
    for again in (lambda: desk.withdraw(WEB, "otto"), lambda: desk.discard_draft(WEB, "otto")):
        with pytest.raises(NotFound):
            again()


def test_bounds(desk: Editing) -> None:
    with pytest.raises(Invalid, match="characters"):
        desk.check("x" * (editing.TEXT_CHARACTERS_MAX + 1))
    with pytest.raises(Invalid, match="name"):
        desk.save_draft(replace(WEB, name="Not a name"), policy_text(), "anna")


def test_a_policy_too_large_to_be_sent_is_refused_whole(database: Database, clock: MovedClock, signer: Signer) -> None:
    small = document.compile_policy(policy_text()).policy
    assert small is not None
    large = replace(small, description="x" * editing.POLICY_BYTES_MAX)
    desk = Editing(database, clock, signer, lambda _: document.Compiled(large, ()), Metrics())
    before = everything(database)
    with pytest.raises(PolicyRefused, match="bytes"):
        desk.publish_text("default", "whatever", "anna")
    assert everything(database) == before
