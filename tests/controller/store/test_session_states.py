"""Agents' reports in batches: the latest of each kind, each endpoint's own, and what a session asks when it opens."""

from datetime import timedelta

import pytest
from fixtures_controller import START, add_endpoint

from homeostat_controller.errors import NotFound
from homeostat_controller.store import endpoints, session_states
from homeostat_controller.store.database import Database
from homeostat_controller.store.session_states import HelloRow, PolicyRow, Report, StateRow, TelemetryRow

HELLO = HelloRow("0.2.0", 1, 3, "model-7", "boot-1", {"os": "debian", "cpus": 4}, {"role": "db"})
POLICY = PolicyRow("web", 2, b"o" * 32, "web", 2, b"a" * 32, "web", 1, b"", "", 0, b"", "", None)


def test_a_batch_of_mixed_reports_changes_each_its_own(database: Database) -> None:
    for number in range(3):
        add_endpoint(database, f"ep-{number}", name=f"web-{number}", labels={"role": "web"})
    later = START + timedelta(minutes=1)
    with database.write() as connection:
        session_states.write(
            connection,
            [
                Report("ep-0", later, connected=True, hello=HELLO, state=StateRow("ok", "", {}, later)),
                Report("ep-1", START, connected=True, session_shown=7, policy=POLICY),
                Report("ep-2", later, connected=False, telemetry=TelemetryRow(later, {"load.1m": 0.5}, 0)),
            ],
        )
    with database.read() as connection:
        first, second, third = (endpoints.get(connection, f"ep-{number}") for number in range(3))
    assert (first.view.health, first.view.agent_version, first.view.labels) == ("ok", "0.2.0", {"role": "db"})
    assert (first.facts["cpus"], first.model, first.boot_id, first.view.last_seen_at) == (4, "model-7", "boot-1", later)
    assert (second.view.active_revision, second.view.labels, second.view.health) == (2, {"role": "web"}, "unknown")
    assert (third.telemetry, third.view.connected) == ({"load.1m": 0.5}, False)


def test_labels_stay_where_a_hello_leaves_them_out(database: Database) -> None:
    add_endpoint(database, labels={"role": "web"})
    hello = HelloRow("0.2.0", 1, 3, "", "boot-1", {}, None)
    with database.write() as connection:
        session_states.write(connection, [Report("ep-1", START, connected=True, hello=hello)])
    with database.read() as connection:
        assert endpoints.get(connection, "ep-1").view.labels == {"role": "web"}


def test_a_second_report_replaces_the_first(database: Database) -> None:
    add_endpoint(database)
    for dropped, revision in ((1, 2), (5, 9)):
        policy = PolicyRow("web", revision, b"o" * 32, "web", revision, b"", "", 0, b"", "", 0, b"", "", None)
        report = Report(
            "ep-1", START, connected=True, policy=policy, telemetry=TelemetryRow(START, {"a": 1.0}, dropped)
        )
        with database.write() as connection:
            session_states.write(connection, [report])
    with database.read() as connection:
        detail = endpoints.get(connection, "ep-1")
    assert (detail.policy.active_revision, detail.telemetry_dropped) == (9, 5)


def test_a_number_of_64_bits_fits(database: Database) -> None:
    add_endpoint(database)
    with database.write() as connection:
        report = Report("ep-1", START, connected=True, session_shown=2**63 - 1)
        session_states.write(connection, [report])
    with database.read() as connection:
        assert session_states.admission(connection, "ep-1").session_shown == 2**63 - 1


def test_an_admission_tells_what_a_session_needs(database: Database) -> None:
    add_endpoint(database, labels={"role": "web"})
    with database.write() as connection:
        session_states.write(connection, [Report("ep-1", START, connected=True, session_shown=5, policy=POLICY)])
    with database.read() as connection:
        known = session_states.admission(connection, "ep-1")
    assert (known.organisation, known.site, known.group) == ("default", "default", "default")
    assert (known.labels, known.session_shown, known.standing) == ({"role": "web"}, 5, "active")
    assert (known.active_sha256, known.rejected_sha256) == (b"a" * 32, b"")


def test_an_unknown_endpoint_is_not_admitted(database: Database) -> None:
    with pytest.raises(NotFound), database.read() as connection:
        session_states.admission(connection, "ep-9")


def test_after_a_start_nobody_is_connected(database: Database) -> None:
    add_endpoint(database)
    with database.write() as connection:
        session_states.write(connection, [Report("ep-1", START, connected=True)])
        session_states.disconnect_all(connection)
    with database.read() as connection:
        assert endpoints.get(connection, "ep-1").view.connected is False


def test_an_empty_batch_is_nothing(database: Database) -> None:
    with database.write() as connection:
        session_states.write(connection, [])
