"""From effects to what is on disk: the incident's record here, and the event for the controller in the spool.

All records of one step are one transaction. Only an outcome may not be lost: when the spool has no room even for it,
the transaction fails and is tried again; anything else that finds no room is counted.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from homeostat.outcome import Ending
from homeostat.wire import decisions, incidents, outcomes, packs
from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider.effects import (
    Effects,
    ForgetRun,
    Record,
    RecordClosed,
    RecordDecision,
    RecordDenial,
    RecordNotice,
    RecordOpened,
    RecordOutcome,
    RecordPack,
    RecordRun,
)
from homeostat_agent.decider.remembered import unknown_run
from homeostat_agent.decider.store.recorder import Stores
from homeostat_agent.decider.store.spool import RecordTooLarge, SpoolFull, SpoolState

# The state key under which the run that was asked for is kept until it has ended.
RUN_KEY = "care.run"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The spool after a step was recorded, and how many events of the step found no room in it."""

    spool: SpoolState
    lost: int = 0


def recording(effects: Effects) -> Callable[[Stores], Recorded] | None:
    """Return the work that keeps a step's records, or None where there is nothing to keep."""
    records = tuple(one for one in effects if isinstance(one, Record))
    if not records:
        return None

    def work(stores: Stores) -> Recorded:
        lost = sum(not _record(one, stores) for one in records)
        return Recorded(stores.spool.state(), lost)

    return work


def _record(record: Record, stores: Stores) -> bool:
    """Keep one record; return False when its event found no room in the spool."""
    match record:
        case RecordRun(run):
            stores.incidents.run_started(run.run_id, run.incident_id, run.past)
            stores.state.set(RUN_KEY, json.dumps([run.run_id, run.incident_id, run.pack_id]).encode())
            return True
        case ForgetRun(run_id):
            stores.incidents.run_ended(run_id, Ending.REFUSED)
            stores.state.forget(RUN_KEY)
            return True
        case RecordDenial(incident, pack_id, by, reason):
            stores.incidents.add(incident.id, link_pb2.Denial(pack_id=pack_id, by=by, reason=reason))
            return True
        case RecordOutcome():
            return _record_outcome(record, stores)
        case _:
            return _record_event(record, stores)


def _record_outcome(record: RecordOutcome, stores: Stores) -> bool:
    outcome = record.outcome
    stores.incidents.run_started(outcome.run_id, outcome.incident_id, unknown_run(outcome))
    if not stores.incidents.run_ended(outcome.run_id, outcome.ending, cut_off=outcome.restarts > 0):
        return True  # recorded before; the actuator had not heard of it
    stores.state.forget(RUN_KEY)
    message = outcomes.outcome_to_wire(outcome)
    stores.incidents.add(outcome.incident_id, message)
    event = link_pb2.Event()
    event.at.FromDatetime(outcome.ended_at)
    event.outcome.CopyFrom(message)
    stores.spool.append(event.SerializeToString(), outcome=True)
    return True


Told = RecordOpened | RecordClosed | RecordDecision | RecordPack | RecordNotice


def _record_event(record: Told, stores: Stores) -> bool:
    event = _kept(record, stores)
    try:
        stores.spool.append(event.SerializeToString())
    except (SpoolFull, RecordTooLarge):
        return False
    return True


def _kept(record: Told, stores: Stores) -> link_pb2.Event:
    """Add a record to its incident, and return the event that tells of it."""
    event = link_pb2.Event()
    match record:
        case RecordOpened(incident):
            event.at.FromDatetime(incident.opened_at)
            event.incident_opened.CopyFrom(incidents.incident_to_wire(incident))
            stores.incidents.opened(event.incident_opened)
        case RecordClosed(incident, at, how):
            event.at.FromDatetime(at)
            event.incident_closed.incident_id, event.incident_closed.how = incident.id, how
            event.incident_closed.at.CopyFrom(event.at)
            stores.incidents.closed(event.incident_closed)
        case RecordDecision(decision):
            event.at.FromDatetime(decision.at)
            event.decision.CopyFrom(decisions.decision_to_wire(decision))
            stores.incidents.add(decision.incident_id, event.decision)
        case RecordPack(pack):
            event.at.FromDatetime(pack.created_at)
            event.exception_pack.CopyFrom(packs.pack_to_wire(pack))
            stores.incidents.add(pack.incident.id, event.exception_pack)
        case RecordNotice(code, sentence, at):
            event.at.FromDatetime(at)
            event.notice.code, event.notice.sentence = code, sentence
    return event
