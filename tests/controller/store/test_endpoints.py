"""The fleet as it is shown: lists, one endpoint, counts."""

from datetime import timedelta

import pytest
from fixtures_controller import START, add_endpoint

from homeostat_controller.errors import Conflict, NotFound
from homeostat_controller.store import endpoint_changes, endpoints, session_states
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest


def test_a_new_endpoint_is_shown_with_its_place_and_labels(database: Database) -> None:
    add_endpoint(database, labels={"role": "web"})
    with database.read() as connection:
        (view,) = endpoints.list_page(connection, Filter(), PageRequest()).items
    assert (view.organisation, view.site, view.group, view.os) == ("default", "default", "default", "debian")
    assert (view.standing, view.status, view.health) == ("active", "offline", "unknown")
    assert view.labels == {"role": "web"}
    assert (view.active_name, view.active_revision, view.open_incidents) == ("", 0, 0)


def test_one_endpoint_has_all_that_was_reported(database: Database) -> None:
    add_endpoint(database)
    policy = session_states.PolicyRow(
        offered_name="web",
        offered_revision=8,
        offered_sha256=b"o" * 32,
        active_name="web",
        active_revision=7,
        active_sha256=b"a" * 32,
        last_good_name="web",
        last_good_revision=6,
        last_good_sha256=b"l" * 32,
        rejected_name="web",
        rejected_revision=8,
        rejected_sha256=b"r" * 32,
        rejected_reason="it speaks semantics 2",
        rejected_at=START,
    )
    telemetry = session_states.TelemetryRow(START, {"cpu.busy": 12.5}, 3)
    report = session_states.Report("ep-1", START, connected=True, policy=policy, telemetry=telemetry)
    with database.write() as connection:
        session_states.write(connection, [report])
    with database.read() as connection:
        detail = endpoints.get(connection, "web-1")
    assert (detail.policy.active_revision, detail.policy.rejected_reason) == (7, "it speaks semantics 2")
    assert detail.policy.rejected_at == START
    assert (detail.view.active_name, detail.view.rejected_revision) == ("web", 8)
    assert (detail.telemetry, detail.telemetry_at, detail.telemetry_dropped) == ({"cpu.busy": 12.5}, START, 3)
    assert detail.certificate_not_after == START + timedelta(days=1)


def test_one_endpoint_that_reported_nothing(database: Database) -> None:
    add_endpoint(database)
    with database.read() as connection:
        detail = endpoints.get(connection, "ep-1")
    assert detail.policy == endpoints.PolicyStatusView()
    assert (detail.telemetry, detail.telemetry_at, detail.next_event) == ({}, None, 1)


def test_a_shared_name_asks_for_an_id_and_an_id_wins_over_a_name(database: Database) -> None:
    add_endpoint(database, "ep-1", name="web")
    add_endpoint(database, "ep-2", name="web")
    add_endpoint(database, "ep-3", name="ep-1")
    with database.read() as connection:
        assert endpoints.find(connection, "ep-1") == "ep-1"
        with pytest.raises(Conflict, match="ep-2"):
            endpoints.find(connection, "web")
        with pytest.raises(NotFound):
            endpoints.get(connection, "nobody")


def test_an_endpoint_is_found_by_its_key(database: Database) -> None:
    add_endpoint(database)
    with database.read() as connection:
        found = endpoints.by_public_key(connection, "key-of-ep-1")
        assert found is not None
        assert found.id == "ep-1"
        assert endpoints.by_public_key(connection, "another") is None


def test_counts_leave_out_who_is_not_let_in(database: Database) -> None:
    add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    with database.write() as connection:
        endpoint_changes.set_standing(connection, "ep-2", "revoked", "sold")
    with database.read() as connection:
        assert endpoints.counts(connection) == {"offline": 1, "total": 1}
        assert endpoints.counts(connection, "another") == {"total": 0}
