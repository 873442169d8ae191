from fixtures_controller import START, add_endpoint

from homeostat_controller.store import policy_statuses, session_states
from homeostat_controller.store.database import Database

ROW = session_states.PolicyRow(
    offered_name="web",
    offered_revision=2,
    offered_sha256=b"o" * 32,
    active_name="web",
    active_revision=1,
    active_sha256=b"\x01" * 32,
    last_good_name="web",
    last_good_revision=1,
    last_good_sha256=b"l" * 32,
    rejected_name="web",
    rejected_revision=2,
    rejected_sha256=b"\x02" * 32,
    rejected_reason="semantics",
    rejected_at=START,
)


def test_what_several_endpoints_say_is_read_at_once(database: Database) -> None:
    for endpoint_id in ("ep-1", "ep-2"):
        add_endpoint(database, endpoint_id, name=endpoint_id)
    with database.write() as connection:
        session_states.write(connection, [session_states.Report("ep-1", START, connected=True, policy=ROW)])
    with database.read() as connection:
        found = policy_statuses.of(connection, ["ep-1", "ep-2", "ep-3"])
        assert policy_statuses.of(connection, []) == {}
    assert list(found) == ["ep-1"]
    said = found["ep-1"]
    assert (said.offered_revision, said.active_revision, said.rejected_reason) == (2, 1, "semantics")
    assert (said.active_sha256, said.rejected_at) == (ROW.active_sha256, START)
