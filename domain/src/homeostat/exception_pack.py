"""What an agent sends when it may not act alone, and a person's answer.

A grant names one plan on one endpoint, by the digests of the plan and of the facts it rests on: if either differs when
the actuator plans afresh, the grant is void.
"""

from dataclasses import dataclass
from datetime import datetime

from homeostat.catalogue import Risk
from homeostat.decision import Ask
from homeostat.incident import Incident
from homeostat.plan import Plan


@dataclass(frozen=True, slots=True)
class ExceptionPack:
    """Evidence, proposed plan, risk, expected effect and undo, waiting for a person until `expires_at`."""

    id: str
    incident: Incident
    decision: Ask
    policy: str
    policy_revision: int
    risk: Risk
    plan: Plan
    undo: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's yes, single-use, to the plan of one pack on one endpoint, until `not_after`."""

    pack_id: str
    endpoint_id: str
    incident_id: str
    playbook: str
    state_digest: bytes
    plan_digest: bytes
    policy_revision: int
    approver: str
    not_after: datetime
    nonce: bytes
