"""The actuator's own copy of the policy: signed bytes as they came, and the highest revision seen of each name."""

import sqlite3
from dataclasses import dataclass

from homeostat.policy import Policy


@dataclass(frozen=True, slots=True)
class Floor:
    """The highest revision accepted under a name, and the digest of its content."""

    revision: int
    sha256: bytes


class PolicyStore:
    """Policies in the journal's database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def signed(self) -> bytes | None:
        """Return the last accepted policy, as it was signed."""
        row = self._connection.execute("SELECT signed FROM policy").fetchone()
        return bytes(row[0]) if row is not None else None

    def floor(self, name: str) -> Floor | None:
        """Return how far policies of this name have come."""
        row = self._connection.execute("SELECT revision, sha256 FROM policy_floor WHERE name = ?", (name,)).fetchone()
        return Floor(row[0], bytes(row[1])) if row is not None else None

    def accept(self, policy: Policy, sha256: bytes, signed: bytes) -> None:
        """Put a policy in the place of the last one and raise its name's floor, both or neither."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO policy_floor (name, revision, sha256) VALUES (?, ?, ?)",
                (policy.name, policy.revision, sha256),
            )
            self._connection.execute("INSERT OR REPLACE INTO policy (one, signed) VALUES (1, ?)", (signed,))
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
