"""The tables and nothing else; a table class never leaves `store`. Every index serves a query of this package.

Organisation → site → group → endpoint stand from the first migration on: several customers need no change of meaning.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, LargeBinary, UniqueConstraint
from sqlmodel import Field

from homeostat_controller.store.column_types import Record, UtcDateTime, indexes


class Organisation(Record, table=True):
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Site(Record, table=True):
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id")
    name: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class EndpointGroup(Record, table=True):
    __table_args__ = (UniqueConstraint("site_id", "name"),)
    id: str = Field(primary_key=True)
    site_id: str = Field(foreign_key="site.id")
    name: str
    created_at: datetime = Field(sa_type=UtcDateTime)


# status: open, redeemed, revoked or frozen. Of the secret only a hash is kept.
class EnrolmentToken(Record, table=True):
    __table_args__ = indexes("created_at id", "status created_at id")
    id: str = Field(primary_key=True)
    secret_hash: str = Field(unique=True)
    group_id: str = Field(foreign_key="endpoint_group.id")
    labels: dict[str, Any] = Field(sa_type=JSON)
    note: str
    status: str
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    redeemed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    public_key: str | None = None
    nonce_hash: str | None = None
    endpoint_id: str | None = None


# standing: active, frozen or revoked. `public_key` is the SHA-256 of the SubjectPublicKeyInfo, hex. `session_shown` is
# the newest session token shown; an older one is a clone's. `next_event` and `chain_head` say where its chain stands.
class Endpoint(Record, table=True):
    __table_args__ = indexes(
        *("name id", "group_id name id", "site_id name id", "organisation_id name id"),
        *("health name id", "standing name id", "last_seen_at"),
    )
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id")
    site_id: str = Field(foreign_key="site.id")
    group_id: str = Field(foreign_key="endpoint_group.id")
    name: str
    labels: dict[str, Any] = Field(sa_type=JSON)
    standing: str
    standing_reason: str
    public_key: str = Field(unique=True)
    certificate_serial: str
    certificate_not_after: datetime = Field(sa_type=UtcDateTime)
    enrolled_at: datetime = Field(sa_type=UtcDateTime)
    facts: dict[str, Any] = Field(sa_type=JSON)
    agent_version: str
    semantics: int
    feature_set: int
    model: str
    boot_id: str
    session_shown: int = Field(sa_type=BigInteger)
    connected: bool
    last_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    health: str
    detail: str
    state: dict[str, Any] = Field(sa_type=JSON)
    state_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_event: int = Field(sa_type=BigInteger)
    chain_head: bytes = Field(sa_type=LargeBinary)


# The endpoints' labels again, as rows, so that a filter by label is an index look-up on both databases.
class EndpointLabel(Record, table=True):
    __table_args__ = indexes("key value endpoint_id")
    endpoint_id: str = Field(primary_key=True, foreign_key="endpoint.id")
    key: str = Field(primary_key=True)
    value: str


# Numbers that only rise: the policy revision, the audit log's last sequence number.
class Counter(Record, table=True):
    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


class Policy(Record, table=True):
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id")
    name: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class PolicyRevision(Record, table=True):
    """status: draft, published, superseded or withdrawn. One draft and one published revision per policy at most.

    `compiled` is the serialized Policy, `signed` the serialized Signed around it, `sha256` the hash of `compiled`.
    """

    __table_args__ = indexes("policy_id created_at id", "status")
    id: str = Field(primary_key=True)
    policy_id: str = Field(foreign_key="policy.id")
    revision: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    status: str
    text: str
    compiled: bytes | None = Field(default=None, sa_type=LargeBinary)
    signed: bytes | None = Field(default=None, sa_type=LargeBinary)
    sha256: bytes | None = Field(default=None, sa_type=LargeBinary)
    author: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    published_by: str
    published_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# What an endpoint says of its policies, after OpAMP's lesson that one hash is not enough.
class EndpointPolicy(Record, table=True):
    __table_args__ = indexes("active_name active_revision")
    endpoint_id: str = Field(primary_key=True, foreign_key="endpoint.id")
    offered_name: str
    offered_revision: int = Field(sa_type=BigInteger)
    offered_sha256: bytes = Field(sa_type=LargeBinary)
    active_name: str
    active_revision: int = Field(sa_type=BigInteger)
    active_sha256: bytes = Field(sa_type=LargeBinary)
    last_good_name: str
    last_good_revision: int = Field(sa_type=BigInteger)
    last_good_sha256: bytes = Field(sa_type=LargeBinary)
    rejected_name: str
    rejected_revision: int = Field(sa_type=BigInteger)
    rejected_sha256: bytes = Field(sa_type=LargeBinary)
    rejected_reason: str
    rejected_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# Every event as it came, with its place in the endpoint's chain. `body` is a serialized Event.
class EventLog(Record, table=True):
    endpoint_id: str = Field(primary_key=True, foreign_key="endpoint.id")
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    hash: bytes = Field(sa_type=LargeBinary)
    body: bytes = Field(sa_type=LargeBinary)
    received_at: datetime = Field(sa_type=UtcDateTime)


# `decision` and `ending` repeat the latest of either, for lists. `body` is the serialized Incident.
class Incident(Record, table=True):
    __table_args__ = indexes(
        *("opened_at id", "endpoint_id opened_at id", "fault opened_at id"),
        *("closed_at opened_at id", "ending opened_at id"),
    )
    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    fault: str
    subject_kind: str
    subject_name: str
    confidence: float
    opened_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    how_closed: str
    decision: str
    ending: str
    body: bytes = Field(sa_type=LargeBinary)


class Decision(Record, table=True):
    __table_args__ = indexes("incident_id at sequence")
    endpoint_id: str = Field(primary_key=True, foreign_key="endpoint.id")
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    incident_id: str
    at: datetime = Field(sa_type=UtcDateTime)
    kind: str
    playbook: str
    code: str
    rule: str
    sentence: str
    would: str
    policy: str
    policy_revision: int = Field(sa_type=BigInteger)


# `body` is the serialized Outcome, with its steps.
class Outcome(Record, table=True):
    __table_args__ = indexes(
        *("incident_id ended_at run_id", "ended_at run_id"),
        *("endpoint_id ended_at run_id", "ending ended_at run_id"),
    )
    run_id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    sequence: int = Field(sa_type=BigInteger)
    incident_id: str
    playbook: str
    action: str
    subject_kind: str
    subject_name: str
    ending: str
    reason: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime = Field(sa_type=UtcDateTime)
    pack_id: str
    restarts: int
    body: bytes = Field(sa_type=LargeBinary)


# status: waiting, approved, denied, expired, void or used. `body` is the serialized ExceptionPack.
class ExceptionPack(Record, table=True):
    __table_args__ = indexes(
        *("created_at id", "status created_at id", "endpoint_id created_at id", "incident_id", "status expires_at")
    )
    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    incident_id: str
    playbook: str
    risk: str
    status: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    decided_by: str
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str
    body: bytes = Field(sa_type=LargeBinary)


# A signed yes on its way to the endpoint; `receipt` stays empty until the endpoint says what became of it.
class Grant(Record, table=True):
    __table_args__ = indexes("endpoint_id receipt", "receipt not_after")
    pack_id: str = Field(primary_key=True, foreign_key="exception_pack.id")
    endpoint_id: str = Field(foreign_key="endpoint.id")
    approver: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    not_after: datetime = Field(sa_type=UtcDateTime)
    signed: bytes = Field(sa_type=LargeBinary)
    receipt: str
    receipt_reason: str
    receipt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Notice(Record, table=True):
    __table_args__ = indexes("at endpoint_id sequence", "endpoint_id at sequence")
    endpoint_id: str = Field(primary_key=True, foreign_key="endpoint.id")
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    at: datetime = Field(sa_type=UtcDateTime)
    code: str
    sentence: str


# Who did what; rows are only ever added. `hash` covers the entry before it and this entry's fields.
class AuditEntry(Record, table=True):
    __table_args__ = indexes(
        *("actor sequence", "verb sequence", "object_kind object_id sequence", "organisation_id sequence")
    )
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    at: datetime = Field(sa_type=UtcDateTime)
    organisation_id: str
    actor: str
    verb: str
    object_kind: str
    object_id: str
    detail: dict[str, Any] = Field(sa_type=JSON)
    previous_hash: bytes = Field(sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)


class TelemetryLatest(Record, table=True):
    endpoint_id: str = Field(primary_key=True, foreign_key="endpoint.id")
    at: datetime = Field(sa_type=UtcDateTime)
    values: dict[str, Any] = Field(sa_type=JSON)
    dropped: int = Field(sa_type=BigInteger)


# A bearer of rights at the REST API: `scope` is "admin" now. An empty `organisation_id` speaks for all.
class ApiToken(Record, table=True):
    __table_args__ = indexes("created_at id")
    id: str = Field(primary_key=True)
    name: str
    secret_hash: str = Field(unique=True)
    scope: str
    organisation_id: str
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
