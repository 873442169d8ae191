"""Which policy decides here, which one did before, and which will never be taken.

A policy name's floor only rises, and what is active was at or above it when it was accepted. Content is kept as it
was signed, so that it can be verified again at every start. A rejection holds for the judge that made it: an agent of
another version, with other trusted keys or other labels, may see it otherwise.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from homeostat.wire.v1 import link_pb2

# Distinct contents that were refused for good; the oldest is forgotten first.
REJECTIONS_MAX = 32
# Policy names that have a floor; each needs a signed policy, so only the signers can fill this.
FLOORS_MAX = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BelowFloor(Exception):  # noqa: N818  # a property of the policy
    """A policy older than one that was accepted under the same name, or another content of the same revision."""


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy by its name, revision and the SHA-256 of its signed payload."""

    name: str
    revision: int
    sha256: bytes

    def to_wire(self) -> link_pb2.PolicyRef:
        """Return the message that carries this."""
        return link_pb2.PolicyRef(name=self.name, revision=self.revision, sha256=self.sha256)


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy's reference and its serialized Signed."""

    ref: PolicyRef
    signed: bytes


class PolicyStore:
    """Policies over an open store; every call belongs to the transaction of its caller.

    A `judge` is a digest of what rejections depend on beside the content.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def offer(self, ref: PolicyRef) -> None:
        """Note what the controller offered last."""
        self._set_role("offered", ref)

    def accept(self, policy: StoredPolicy) -> None:
        """Make a policy the active one and raise its name's floor; the one before becomes the last good.

        Raises BelowFloor and changes nothing when the floor does not allow it.
        """
        why = self.why_below_floor(policy.ref)
        if why:
            raise BelowFloor(why)
        before = self._role("active")
        if before is not None and before.sha256 != policy.ref.sha256:
            self._set_role("last_good", before)
        self._connection.execute(
            "INSERT OR REPLACE INTO policy_content VALUES (?, ?)", (policy.ref.sha256, policy.signed)
        )
        self._set_role("active", policy.ref)
        if before is None:
            self._set_role("last_good", policy.ref)
        self._raise_floor(policy.ref)
        self._forget_unused_content()

    def reject(self, ref: PolicyRef, reason: str, at: datetime, judge: bytes) -> None:
        """Note that a content is refused for good. What is active stays active."""
        at_us = (at - _EPOCH) // timedelta(microseconds=1)
        self._connection.execute(
            "INSERT OR REPLACE INTO policy_rejection (name, revision, sha256, reason, at_us, judge) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (ref.name, ref.revision, ref.sha256, reason, at_us, judge),
        )
        self._connection.execute(
            "DELETE FROM policy_rejection WHERE id NOT IN (SELECT id FROM policy_rejection ORDER BY id DESC LIMIT ?)",
            (REJECTIONS_MAX,),
        )

    def fall_back(self, reason: str, at: datetime, judge: bytes) -> StoredPolicy | None:
        """Reject the active policy and return to the last good one; None where there is no other.

        For content that was accepted and then proved unusable. The floor stays: only a newer revision replaces it.
        """
        active, last_good = self._role("active"), self._role("last_good")
        if active is None:
            return None
        self.reject(active, reason, at, judge)
        if last_good is None or last_good.sha256 == active.sha256:
            self._connection.execute("DELETE FROM policy_role WHERE role IN ('active', 'last_good')")
            return None
        self._set_role("active", last_good)
        return self.active()

    def active(self) -> StoredPolicy | None:
        """Return the policy that decides here, as it was signed; None before the first."""
        ref = self._role("active")
        if ref is None:
            return None
        row = self._connection.execute("SELECT signed FROM policy_content WHERE sha256 = ?", (ref.sha256,)).fetchone()
        return StoredPolicy(ref, row[0]) if row else None

    def rejection(self, sha256: bytes, judge: bytes) -> str:
        """Return why this judge refused a content for good, or nothing."""
        row = self._connection.execute(
            "SELECT reason FROM policy_rejection WHERE sha256 = ? AND judge = ?", (sha256, judge)
        ).fetchone()
        return str(row[0]) if row else ""

    def why_below_floor(self, ref: PolicyRef) -> str:
        """Return as a sentence why the floor keeps a policy out, or nothing."""
        row = self._connection.execute(
            "SELECT revision, sha256 FROM policy_floor WHERE name = ?", (ref.name,)
        ).fetchone()
        if row is None:
            full = self._connection.execute("SELECT count(*) >= ? FROM policy_floor", (FLOORS_MAX,)).fetchone()[0]
            return f"{FLOORS_MAX} policy names were accepted here before; no further one is." if full else ""
        revision, digest = row
        if ref.revision < revision:
            return f"Revision {ref.revision} of {ref.name} is older than {revision}, which was accepted before."
        if ref.revision == revision and ref.sha256 != digest:
            return f"Revision {ref.revision} of {ref.name} was accepted before with other content."
        return ""

    def status(self, judge: bytes) -> link_pb2.PolicyStatus:
        """Return all of it as the controller wants to know it, with the last content that this judge refused."""
        status = link_pb2.PolicyStatus()
        for role, field in (("offered", status.offered), ("active", status.active), ("last_good", status.last_good)):
            ref = self._role(role)
            if ref is not None:
                field.CopyFrom(ref.to_wire())
        row = self._connection.execute(
            "SELECT name, revision, sha256, reason, at_us FROM policy_rejection WHERE judge = ? "
            "ORDER BY id DESC LIMIT 1",
            (judge,),
        ).fetchone()
        if row is not None:
            status.rejected.policy.CopyFrom(PolicyRef(*row[:3]).to_wire())
            status.rejected.reason = row[3]
            status.rejected.at.FromMicroseconds(row[4])
        return status

    def _role(self, role: str) -> PolicyRef | None:
        row = self._connection.execute(
            "SELECT name, revision, sha256 FROM policy_role WHERE role = ?", (role,)
        ).fetchone()
        return PolicyRef(*row) if row else None

    def _set_role(self, role: str, ref: PolicyRef) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO policy_role VALUES (?, ?, ?, ?)", (role, ref.name, ref.revision, ref.sha256)
        )

    def _raise_floor(self, ref: PolicyRef) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO policy_floor VALUES (?, ?, ?)", (ref.name, ref.revision, ref.sha256)
        )

    def _forget_unused_content(self) -> None:
        self._connection.execute(
            "DELETE FROM policy_content WHERE sha256 NOT IN "
            "(SELECT sha256 FROM policy_role WHERE role IN ('active', 'last_good'))"
        )
