"""Reports: the latest of each kind per endpoint, cleaned, and given back when they could not be written."""

from datetime import timedelta

from fixtures_controller import START

from homeostat.wire.v1 import enrolment_pb2, link_pb2
from homeostat_controller.agents import reports
from homeostat_controller.agents.reports import Reports
from homeostat_controller.store.approvals import ReceiptRow
from homeostat_controller.store.session_states import Admission, StateRow

ADMISSION = Admission("ep-1", "web-1", "o", "active", "", "acme", "lyon", "web", {"role": "web"}, 0, 1, b"", b"")
LATER = START + timedelta(seconds=1)


def state(health: str) -> StateRow:
    return StateRow(health, "", {}, START)


def test_only_the_latest_of_each_kind_waits() -> None:
    waiting = Reports()
    waiting.seen("ep-1", START, connected=True, shown=7)
    waiting.note("ep-1", START, state("ok"))
    waiting.note("ep-1", LATER, state("healing"))
    waiting.note("ep-2", START, state("ok"))
    waiting.seen("ep-1", LATER, connected=False, shown=5)
    first, second = waiting.take()
    assert (first.endpoint_id, first.state, first.session_shown) == ("ep-1", state("healing"), 7)
    assert (first.seen_at, first.connected) == (LATER, False)
    assert (second.endpoint_id, second.connected) == ("ep-2", None)  # events alone are no session
    assert waiting.take() == []


def test_what_was_given_back_lies_under_what_is_newer() -> None:
    waiting = Reports()
    waiting.seen("ep-1", START, connected=True, shown=9)
    waiting.note("ep-1", START, state("ok"))
    old = waiting.take()
    waiting.note("ep-1", LATER, state("healing"))
    waiting.seen("ep-1", LATER, connected=True, shown=10)
    waiting.give_back([*old])
    (merged,) = waiting.take()
    assert (merged.state, merged.session_shown, merged.seen_at) == (state("healing"), 10, LATER)
    waiting.give_back(old)
    assert waiting.shown("ep-1") == 9
    assert waiting.take() == old
    assert waiting.shown("ep-1") == 0


def test_a_hello_s_labels_are_told_only_where_they_changed() -> None:
    said = link_pb2.Hello(agent_version="1.0\n", semantics=2**32 - 1, facts=enrolment_pb2.EndpointFacts(os="debian"))
    same = reports.hello_row(said, {"role": "web"}, ADMISSION)
    changed = reports.hello_row(said, {"role": "db"}, ADMISSION)
    assert (same.labels, changed.labels) == (None, {"role": "db"})
    assert (same.agent_version, same.semantics, same.facts["os"]) == ("1.0", 2**31 - 1, "debian")
    assert reports.place_labels(ADMISSION) == {"organisation": "acme", "site": "lyon", "group": "web"}


def test_a_policy_status_fits_its_columns() -> None:
    ref = link_pb2.PolicyRef(name="n" * 999, revision=2**64 - 1, sha256=b"s" * 99)
    rejection = link_pb2.PolicyRejection(policy=ref, reason="r" * 9999)
    rejection.at.seconds = 2**61
    row = reports.policy_row(link_pb2.PolicyStatus(active=ref, rejected=rejection), START)
    assert (len(row.active_name), row.active_revision, len(row.active_sha256)) == (255, 2**63 - 1, 32)
    assert (row.rejected_at, len(row.rejected_reason)) == (START, 2000)
    assert reports.policy_row(link_pb2.PolicyStatus(), START).rejected_at is None


def test_a_state_fits_its_columns() -> None:
    row = reports.state_row(link_pb2.EndpointState(health="h" * 99, detail="d\0"), START)
    assert (row.health, row.detail, row.state_at) == ("h" * 32, "d ", START)
    assert reports.state_row(link_pb2.EndpointState(), START).health == "unknown"


def test_telemetry_and_receipts_are_bounded() -> None:
    request = link_pb2.PushEventsRequest(telemetry_dropped=2**64 - 1)
    assert reports.telemetry_row(request, START) is None
    request.telemetry.add(values={f"m{n}": float("inf") for n in range(2000)})
    row = reports.telemetry_row(request, START)
    assert row is not None
    assert (len(row.values), set(row.values.values()), row.dropped) == (500, {0.0}, 2**63 - 1)
    message = link_pb2.AgentMessage(receipts=[link_pb2.Receipt(id="p\0", result="accepted")] * 1000)
    rows = reports.receipt_rows("ep-1", message)
    assert (len(rows), rows[0]) == (reports.RECEIPTS_MAX, ReceiptRow("ep-1", "p", "accepted", ""))
