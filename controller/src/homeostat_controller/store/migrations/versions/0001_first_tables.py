"""First tables.

A revision is never changed once released, so it says in full what it makes and reads nothing from the tables of today.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

from homeostat_controller.store.column_types import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KINDS: Mapping[str, type[TypeEngine[Any]]] = {
    "texts": sa.String,
    "times": UtcDateTime,
    "bigs": sa.BigInteger,
    "ints": sa.Integer,
    "floats": sa.Float,
    "flags": sa.Boolean,
    "blobs": sa.LargeBinary,
    "documents": sa.JSON,
}


def upgrade() -> None:
    for make in (_places, _endpoints, _access, _policies, _events, _repairs):
        make()


def downgrade() -> None:
    raise NotImplementedError("nothing lies before the first tables; restore a backup instead")


def _places() -> None:
    _table("organisation", "id", texts="id name", times="created_at", unique="name")
    _table(
        "site",
        "id",
        texts="id organisation_id name",
        times="created_at",
        unique="organisation_id name",
        refers="organisation_id>organisation.id",
    )
    _table(
        "endpoint_group",
        "id",
        texts="id site_id name",
        times="created_at",
        unique="site_id name",
        refers="site_id>site.id",
    )


def _endpoints() -> None:
    _table(
        "endpoint",
        "id",
        texts="id organisation_id site_id group_id name standing standing_reason public_key "
        "certificate_serial agent_version model boot_id health detail",
        documents="labels facts state",
        times="certificate_not_after enrolled_at",
        ints="semantics feature_set",
        bigs="session_shown next_event",
        flags="connected",
        times_or_null="last_seen_at state_at",
        blobs="chain_head",
        unique="public_key",
        refers="organisation_id>organisation.id, site_id>site.id, group_id>endpoint_group.id",
        indexes="group_id name id, health name id, last_seen_at, name id, organisation_id name id, "
        "site_id name id, standing name id",
    )
    _table(
        "endpoint_label",
        "endpoint_id key",
        texts="endpoint_id key value",
        refers="endpoint_id>endpoint.id",
        indexes="key value endpoint_id",
    )
    _table(
        "endpoint_policy",
        "endpoint_id",
        texts="endpoint_id offered_name active_name last_good_name rejected_name rejected_reason",
        bigs="offered_revision active_revision last_good_revision rejected_revision",
        blobs="offered_sha256 active_sha256 last_good_sha256 rejected_sha256",
        times_or_null="rejected_at",
        refers="endpoint_id>endpoint.id",
        indexes="active_name active_revision",
    )
    _table(
        "telemetry_latest",
        "endpoint_id",
        texts="endpoint_id",
        times="at",
        documents="values",
        bigs="dropped",
        refers="endpoint_id>endpoint.id",
    )


def _access() -> None:
    _table(
        "enrolment_token",
        "id",
        texts="id secret_hash group_id note status created_by",
        documents="labels",
        times="created_at expires_at",
        times_or_null="redeemed_at",
        texts_or_null="public_key nonce_hash endpoint_id",
        unique="secret_hash",
        refers="group_id>endpoint_group.id",
        indexes="created_at id, status created_at id",
    )
    _table(
        "api_token",
        "id",
        texts="id name secret_hash scope organisation_id created_by",
        times="created_at",
        times_or_null="expires_at revoked_at last_used_at",
        unique="secret_hash",
        indexes="created_at id",
    )
    _table(
        "audit_entry",
        "sequence",
        bigs="sequence",
        times="at",
        texts="organisation_id actor verb object_kind object_id",
        documents="detail",
        blobs="previous_hash hash",
        indexes="actor sequence, object_kind object_id sequence, organisation_id sequence, verb sequence",
    )
    _table("counter", "name", texts="name", bigs="value")


def _policies() -> None:
    _table(
        "policy",
        "id",
        texts="id organisation_id name",
        times="created_at",
        unique="organisation_id name",
        refers="organisation_id>organisation.id",
    )
    _table(
        "policy_revision",
        "id",
        texts="id policy_id status text author published_by",
        bigs_or_null="revision",
        blobs_or_null="compiled signed sha256",
        times="created_at",
        times_or_null="published_at",
        unique="revision",
        refers="policy_id>policy.id",
        indexes="policy_id created_at id, status",
    )


def _events() -> None:
    _table(
        "event_log",
        "endpoint_id sequence",
        texts="endpoint_id",
        bigs="sequence",
        blobs="hash body",
        times="received_at",
        refers="endpoint_id>endpoint.id",
    )
    _table(
        "incident",
        "id",
        texts="id endpoint_id fault subject_kind subject_name how_closed decision ending",
        floats="confidence",
        times="opened_at",
        times_or_null="closed_at",
        blobs="body",
        refers="endpoint_id>endpoint.id",
        indexes="closed_at opened_at id, ending opened_at id, endpoint_id opened_at id, "
        "fault opened_at id, opened_at id",
    )
    _table(
        "decision",
        "endpoint_id sequence",
        texts="endpoint_id incident_id kind playbook code rule sentence would policy",
        bigs="sequence policy_revision",
        times="at",
        refers="endpoint_id>endpoint.id",
        indexes="incident_id at sequence",
    )


def _repairs() -> None:
    _table(
        "outcome",
        "run_id",
        texts="run_id endpoint_id incident_id playbook action subject_kind subject_name ending reason pack_id",
        bigs="sequence",
        times="started_at ended_at",
        ints="restarts",
        blobs="body",
        refers="endpoint_id>endpoint.id",
        indexes="ended_at run_id, ending ended_at run_id, endpoint_id ended_at run_id, incident_id ended_at run_id",
    )
    _table(
        "notice",
        "endpoint_id sequence",
        texts="endpoint_id code sentence",
        bigs="sequence",
        times="at",
        refers="endpoint_id>endpoint.id",
        indexes="at endpoint_id sequence, endpoint_id at sequence",
    )
    _table(
        "exception_pack",
        "id",
        texts="id endpoint_id incident_id playbook risk status decided_by reason",
        times="created_at expires_at",
        times_or_null="decided_at",
        blobs="body",
        refers="endpoint_id>endpoint.id",
        indexes="created_at id, endpoint_id created_at id, incident_id, status created_at id, status expires_at",
    )
    _table(
        "grant",
        "pack_id",
        texts="pack_id endpoint_id approver receipt receipt_reason",
        times="created_at not_after",
        blobs="signed",
        times_or_null="receipt_at",
        refers="pack_id>exception_pack.id, endpoint_id>endpoint.id",
        indexes="endpoint_id receipt, receipt not_after",
    )


def _table(table: str, key: str, **said: str) -> None:
    indexes = _parts(said.pop("indexes", ""))
    constraints: list[sa.Constraint] = [sa.UniqueConstraint(*one.split()) for one in _parts(said.pop("unique", ""))]
    for one in _parts(said.pop("refers", "")):
        column, _, to = one.partition(">")
        constraints.append(sa.ForeignKeyConstraint([column], [to]))
    op.create_table(table, *_columns(said), sa.PrimaryKeyConstraint(*key.split()), *constraints)
    for one in indexes:
        op.create_index(f"ix_{table}_{one.replace(' ', '_')}", table, one.split())


def _columns(said: Mapping[str, str]) -> Iterator[sa.Column[object]]:
    for kind, names in said.items():
        for name in names.split():
            yield sa.Column(name, _KINDS[kind.removesuffix("_or_null")](), nullable=kind.endswith("_or_null"))


def _parts(said: str) -> list[str]:
    return said.split(", ") if said else []
