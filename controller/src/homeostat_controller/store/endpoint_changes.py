"""What people and enrolment change about an endpoint; what the agent itself reports is in `session_states`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from homeostat_controller.store.database import table
from homeostat_controller.store.organisations import GroupView
from homeostat_controller.store.tables import Endpoint, EndpointLabel

_E = table(Endpoint)
_LABELS = table(EndpointLabel)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate an endpoint has now. `public_key` is the SHA-256 of the SubjectPublicKeyInfo, hex."""

    public_key: str
    serial: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What enrolment knows. `facts` is the wire's EndpointFacts as JSON."""

    id: str
    group: GroupView
    name: str
    labels: Mapping[str, str]
    facts: Mapping[str, Any]
    certificate: Certificate


def add(connection: Connection, new: NewEndpoint, now: datetime) -> None:
    """Add an enrolled endpoint. The public key must be new."""
    values = {
        "id": new.id,
        "organisation_id": new.group.organisation_id,
        "site_id": new.group.site_id,
        "group_id": new.group.id,
        "name": new.name,
        "labels": dict(new.labels),
        **_columns(new.certificate),
        "enrolled_at": now,
        "facts": dict(new.facts),
        "state": {},
    }
    connection.execute(insert(_E).values(**{**_DEFAULTS, **values}))
    set_labels(connection, new.id, new.labels)


def set_labels(connection: Connection, endpoint_id: str, labels: Mapping[str, str]) -> None:
    """Replace an endpoint's labels, in both places where they are kept."""
    connection.execute(update(_E).where(_E.c.id == endpoint_id).values(labels=dict(labels)))
    connection.execute(delete(_LABELS).where(_LABELS.c.endpoint_id == endpoint_id))
    rows = [{"endpoint_id": endpoint_id, "key": key, "value": value} for key, value in labels.items()]
    if rows:
        connection.execute(insert(_LABELS), rows)


def set_certificate(connection: Connection, endpoint_id: str, certificate: Certificate) -> None:
    """Record the certificate an endpoint has now."""
    connection.execute(update(_E).where(_E.c.id == endpoint_id).values(**_columns(certificate)))


def set_standing(connection: Connection, endpoint_id: str, standing: str, reason: str) -> None:
    """Set an endpoint's standing: active, frozen or revoked."""
    connection.execute(update(_E).where(_E.c.id == endpoint_id).values(standing=standing, standing_reason=reason))


def forget_session(connection: Connection, endpoint_id: str) -> None:
    """Forget which session tokens were shown, so that the endpoint's next one is accepted whatever it is."""
    connection.execute(update(_E).where(_E.c.id == endpoint_id).values(session_shown=0, boot_id=""))


# Bulk inserts go past the table classes' defaults, so the columns' first values stand here.
_DEFAULTS = {
    "standing": "active",
    "standing_reason": "",
    "agent_version": "",
    "semantics": 0,
    "feature_set": 0,
    "model": "",
    "boot_id": "",
    "session_shown": 0,
    "connected": False,
    "health": "unknown",
    "detail": "",
    "next_event": 1,
    "chain_head": bytes(32),
}


def _columns(certificate: Certificate) -> dict[str, Any]:
    return {
        "public_key": certificate.public_key,
        "certificate_serial": certificate.serial,
        "certificate_not_after": certificate.not_after,
    }
