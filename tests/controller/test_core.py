"""The parts put together: a folder from nothing, the same one again, and a sentence when it cannot be used."""

import stat
from pathlib import Path

import pytest
from fixtures_controller import Chain, opened, pack
from fixtures_postgres import Postgres
from fixtures_running import WAIT_S, Running, build, policy_text, wait_until

from fakes.moved_clock import MovedClock
from homeostat_controller.agents.enrolment import TokenRequest
from homeostat_controller.core import Core
from homeostat_controller.errors import ControllerError
from homeostat_controller.store import endpoints, policies
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.paging import PageRequest


def revisions(core: Core) -> list[int]:
    return [one.revision for one in core.sessions.board.candidates]


def test_an_empty_folder_is_enough_and_is_its_owner_s(tmp_path: Path, clock: MovedClock) -> None:
    core = build(tmp_path / "new" / "data", clock)
    core.enrolment.create_token(TokenRequest(), "anna")
    core.close()
    folder = tmp_path / "new" / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_same_folder_is_the_same_controller(tmp_path: Path, clock: MovedClock) -> None:
    first = build(tmp_path / "data", clock)
    first.editing.publish_text("default", policy_text(), "anna")
    first.close()
    second = build(tmp_path / "data", clock)
    assert second.authority.root_der == first.authority.root_der
    assert second.signer.key_id == first.signer.key_id
    assert [one.name for one in second.sessions.board.candidates] == ["web"]  # offered from the start
    with second.database.read() as connection:
        assert len(policies.published(connection)) == 1
        assert endpoints.list_page(connection, Filter(), PageRequest()).total == 0
    second.close()


def test_a_publication_changes_the_board(tmp_path: Path, clock: MovedClock) -> None:
    core = build(tmp_path / "data", clock)
    assert revisions(core) == []
    core.editing.publish_text("default", policy_text(), "anna")
    assert revisions(core) == [1]
    core.close()


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path, clock: MovedClock) -> None:
    build(tmp_path / "data", clock).close()
    (tmp_path / "data" / "lab-signing.key").chmod(0o644)
    with pytest.raises(ControllerError, match="others may read it"):
        build(tmp_path / "data", clock)


@pytest.mark.postgres
def test_everything_runs_on_postgresql_too(tmp_path: Path, postgres_server: Postgres) -> None:
    running = Running(build(tmp_path / "data", database_url=postgres_server.create()))
    agent = running.agent(role="web")
    chain = Chain(agent.id)
    for event in (opened(at=running.core.clock()), pack(at=running.core.clock())):
        chain.add(event)
    with agent.session(role="web") as talk, agent.stub() as stub:
        assert stub.PushEvents(chain.push(), timeout=WAIT_S).next_sequence == 3
        published = running.core.editing.publish_text("default", policy_text("web", "{role: web}"), "anna")
        talk.accept(talk.offer())
        running.core.approvals.approve("pack-1", "anna")
        assert talk.read_until(lambda one: list(one.grants))

        def active() -> int:
            with running.core.database.read() as connection:
                return endpoints.get(connection, agent.id).policy.active_revision

        wait_until(lambda: active() == published.revision)
    running.stop()
