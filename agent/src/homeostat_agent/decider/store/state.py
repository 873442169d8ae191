"""Small things to remember between two starts, by a name: the session's token, the detector's memory.

Whoever owns a key owns its format. A value is replaced whole, in the transaction of its caller.
"""

import sqlite3

VALUE_BYTES_MAX = 1 << 20
# The serialized EndpointState that was told last: what `homeostat-agent status` shows.
ENDPOINT_STATE = "endpoint-state"


class State:
    """Keys and values over an open store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> bytes | None:
        """Return a key's value, or None where it has none."""
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set(self, key: str, value: bytes) -> None:
        """Replace a key's value. Raises ValueError above VALUE_BYTES_MAX."""
        if len(value) > VALUE_BYTES_MAX:
            raise ValueError(f"{key}: {len(value)} bytes are above {VALUE_BYTES_MAX}")
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def forget(self, key: str) -> None:
        """Remove a key and its value, if there."""
        self._connection.execute("DELETE FROM state WHERE key = ?", (key,))
