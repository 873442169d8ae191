"""A detected deviation with a beginning and an end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from homeostat.diagnosis import FaultClass
from homeostat.evidence import Evidence
from homeostat.subject import Subject


@dataclass(frozen=True, slots=True)
class Incident:
    """What is wrong with one subject of one endpoint, how sure that is, and why."""

    id: str
    endpoint_id: str
    fault: FaultClass
    subject: Subject
    confidence: float
    opened_at: datetime
    evidence: Evidence
    labels: Mapping[str, str] = field(default_factory=dict)
    closed_at: datetime | None = None
