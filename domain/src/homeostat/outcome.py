"""How a healing run ended."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.subject import Subject


class Ending(StrEnum):
    """The five ends of a healing run. Only HEALED counts as resolved."""

    REFUSED = "refused"
    HEALED = "healed"
    ROLLED_BACK = "rolled-back"
    UNVERIFIED = "unverified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunStep:
    """One line of a run's record."""

    stage: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A healing run's reported result."""

    run_id: str
    incident_id: str
    playbook: str
    action: str
    subject: Subject
    ending: Ending
    reason: str
    started_at: datetime
    ended_at: datetime
    steps: tuple[RunStep, ...] = ()
    pack_id: str = ""
    restarts: int = 0
