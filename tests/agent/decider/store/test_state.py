from datetime import UTC, datetime
from pathlib import Path

import pytest

from homeostat_agent.decider.store.database import open_database
from homeostat_agent.decider.store.state import VALUE_BYTES_MAX, State


def test_a_value_is_kept_replaced_and_forgotten(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "store.db", datetime(2026, 3, 1, tzinfo=UTC)).connection
    state = State(connection)
    assert state.get("token") is None
    state.set("token", b"one")
    state.set("token", b"two")
    state.set("other", bytes(VALUE_BYTES_MAX))
    assert state.get("token") == b"two"
    state.forget("token")
    state.forget("token")
    assert state.get("token") is None
    with pytest.raises(ValueError, match="other: 1048577 bytes"):
        state.set("other", bytes(VALUE_BYTES_MAX + 1))
    connection.close()
