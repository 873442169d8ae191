"""What the API says: one vocabulary for the console, the command line and integrators.

Invariant: fields are added, never renamed or given another meaning. Times are UTC; an empty text means "none".
"""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from homeostat_controller.api.requests import Target

T = TypeVar("T")


class Said(BaseModel):
    """What the controller says; built once, never changed."""

    model_config = ConfigDict(frozen=True)


class PageOf(Said, Generic[T]):
    """Some items of a list, how many there are in all, and the cursor of the next page ("" at the end)."""

    items: list[T]
    total: int
    next: str
    as_of: datetime


class PolicyReference(Said):
    """A policy's revision; an empty name means none."""

    name: str = ""
    revision: int = 0
    sha256: str = ""


class PolicyStatus(Said):
    """What became of policies on one endpoint: each of these can differ."""

    offered: PolicyReference
    active: PolicyReference
    last_good: PolicyReference
    rejected: PolicyReference
    rejected_reason: str = ""
    rejected_at: datetime | None = None


class Endpoint(Said):
    """One line of the fleet. `status` is the worst of what the agent says and whether it is heard of at all."""

    id: str
    name: str
    organisation: str
    site: str
    group: str
    labels: dict[str, str]
    status: str = Field(examples=["ok", "degraded", "healing", "waiting", "observing", "offline", "revoked"])
    detail: str
    os: str
    agent_version: str
    policy: PolicyReference
    open_incidents: int
    enrolled_at: datetime
    last_seen_at: datetime | None


class Service(Said):
    """A watched service as its endpoint sees it."""

    name: str
    state: str
    pid: int


class EndpointDetail(Endpoint):
    """One endpoint in full. `metrics` are the newest readings by name."""

    place: str
    services: list[Service]
    policy_status: PolicyStatus
    metrics: dict[str, float]
    anomaly_p_value: float | None
    outbox_records: int
    telemetry_dropped: int
    model: str
    facts: dict[str, Any]
    certificate_not_after: datetime
    state_at: datetime | None


class Evidence(Said):
    """One thing an incident rests on, as a sentence, and the kind of signal it is."""

    kind: str
    sentence: str


class Incident(Said):
    """One line of the list of incidents. `status` says where it stands, and once it is closed how its repair ended."""

    id: str
    endpoint_id: str
    endpoint: str
    fault: str
    subject: str
    confidence: float
    status: str = Field(
        examples=["open", "waiting", "healed", "rolled-back", "unverified", "failed", "refused", "closed"]
    )
    decision: str
    ending: str
    opened_at: datetime
    closed_at: datetime | None


class Step(Said):
    """One step of an incident's way. state: done, current, waiting, failed or skipped."""

    step: Literal["detected", "decided", "asked", "answered", "pre-check", "acted", "verified", "undone", "closed"]
    state: str
    at: datetime | None
    sentence: str
    details: list[str] = Field(default=[])
    approval_id: str = ""


class Timeline(Said):
    """Detected → decided → pre-check → acted → verified or undone."""

    incident_id: str
    steps: list[Step]


class IncidentDetail(Incident):
    """One incident in full. `reason` is the rule or limit that settled the decision, `outcome` how the repair ended."""

    evidence: list[Evidence]
    reason: str
    outcome: str
    approval_id: str
    steps: list[Step]


class Plan(Said):
    """What would be done and how it is undone, one sentence each, in order."""

    forward: list[str]
    backward: list[str]
    expected_effect: str
    findings: list[str]


class Approval(Said):
    """One line of the list of approvals. status: waiting, approved, used, denied, expired or void."""

    id: str
    endpoint_id: str
    endpoint: str
    incident_id: str
    fault: str
    subject: str
    playbook: str
    risk: str
    status: str
    created_at: datetime
    expires_at: datetime


class ApprovalDetail(Approval):
    """An exception pack in full. `target` must be sent back to approve it."""

    why_asked: str
    evidence: list[Evidence]
    confidence: float
    policy: PolicyReference
    plan: Plan
    undo: str
    target: Target
    decided_by: str
    decided_at: datetime | None
    reason: str
    receipt: str
    receipt_reason: str
    run_id: str
    run_ending: str
    run_reason: str
