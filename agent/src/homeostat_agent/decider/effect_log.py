"""One log line for each effect that a person might look for, with the incident and the run in it."""

import logging

from homeostat.outcome import Outcome
from homeostat_agent.decider.effects import (
    Effect,
    RecordClosed,
    RecordDecision,
    RecordNotice,
    RecordOpened,
    RecordOutcome,
    RecordPack,
    SendReceipt,
    StartHealing,
)

log = logging.getLogger(__name__)


def write(effect: Effect) -> None:
    """Log one effect; those without a line here are part of another one's."""
    match effect:
        case RecordOutcome(outcome):
            _outcome(outcome)
        case RecordNotice(code, sentence):
            log.warning("event=notice code=%s sentence=%r", code, sentence)
        case SendReceipt(pack_id, result, reason):
            log.info("event=answered pack=%s result=%s reason=%r", pack_id, result, reason)
        case _:
            _of_incident(effect)


def _of_incident(effect: Effect) -> None:
    match effect:
        case RecordOpened(incident):
            log.info("event=opened incident=%s fault=%s subject=%s", incident.id, incident.fault, incident.subject)
        case RecordClosed(incident, _, how):
            log.info("event=closed incident=%s how=%s", incident.id, how)
        case RecordDecision(record):
            kind, reason = type(record.decision).__name__.lower(), record.decision.reason
            log.info("event=decided incident=%s kind=%s code=%s", record.incident_id, kind, reason.code)
        case StartHealing(run_id, incident, playbook):
            log.info("event=healing incident=%s run=%s playbook=%s", incident.id, run_id, playbook)
        case RecordPack(pack):
            log.info("event=asked incident=%s pack=%s playbook=%s", pack.incident.id, pack.id, pack.decision.playbook)
        case _:
            pass


def _outcome(outcome: Outcome) -> None:
    log.info(
        "event=outcome incident=%s run=%s ending=%s reason=%r",
        outcome.incident_id,
        outcome.run_id,
        outcome.ending,
        outcome.reason,
    )
