"""What the pipeline wants done: plain values that app.py carries out, in the order given.

The records of one step are kept together or not at all, so that a crash between two of them cannot leave an outcome
without the end of its incident.
"""

from dataclasses import dataclass
from datetime import datetime

from homeostat.budget import PastRun
from homeostat.decision import DecisionRecord
from homeostat.exception_pack import ExceptionPack
from homeostat.incident import Incident
from homeostat.outcome import Outcome


@dataclass(frozen=True, slots=True)
class RecordOpened:
    """An incident began."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class RecordClosed:
    """An incident is over; `how` is recovered, healed or superseded."""

    incident: Incident
    at: datetime
    how: str


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """What was decided about an incident."""

    decision: DecisionRecord


@dataclass(frozen=True, slots=True)
class RecordPack:
    """A person is asked."""

    pack: ExceptionPack


@dataclass(frozen=True, slots=True)
class RecordDenial:
    """A person said no to a pack."""

    incident: Incident
    pack_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunAsked:
    """A healing run that the actuator was asked for: as the budgets see it, and by whose yes (`pack_id`)."""

    run_id: str
    incident_id: str
    past: PastRun
    pack_id: str = ""


@dataclass(frozen=True, slots=True)
class RecordRun:
    """Keep a run that is being asked for, so that a restarted decider knows of it."""

    run: RunAsked


@dataclass(frozen=True, slots=True)
class ForgetRun:
    """A run that was asked for has not come about: the actuator refused it, or never heard of it."""

    run_id: str


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """A healing run ended; where this decider does not know of the run, the outcome says all there is."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RecordNotice:
    """Something the endpoint wants known that is none of the above."""

    code: str
    sentence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StartHealing:
    """Have the actuator repair an incident; `grant` is a serialized Signed, or empty when the agent acts alone."""

    run_id: str
    incident: Incident
    playbook: str
    grant: bytes = b""


@dataclass(frozen=True, slots=True)
class RequestProposal:
    """Have the actuator plan a repair without carrying it out."""

    pack_id: str
    incident: Incident
    playbook: str


@dataclass(frozen=True, slots=True)
class ConfirmOutcome:
    """Tell the actuator that an outcome is on disk, once everything recorded before this is."""

    run_id: str


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """Tell the controller what became of its answer to a pack: accepted, refused or expired."""

    pack_id: str
    result: str
    reason: str = ""


Record = (
    RecordOpened
    | RecordClosed
    | RecordDecision
    | RecordPack
    | RecordDenial
    | RecordRun
    | ForgetRun
    | RecordOutcome
    | RecordNotice
)
Effect = Record | StartHealing | RequestProposal | ConfirmOutcome | SendReceipt
Effects = tuple[Effect, ...]
