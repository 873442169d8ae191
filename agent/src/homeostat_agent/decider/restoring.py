"""From what is on disk to what the pipeline goes on with: an earlier decider's open incidents, packs and run.

Nothing is acted on from memory: every incident has to be seen again before it is repaired.
"""

import json
from dataclasses import replace
from datetime import datetime

from homeostat.budget import PastRun
from homeostat.policy_values import PERIOD_MAX
from homeostat.wire.decisions import decision_from_wire
from homeostat.wire.incidents import incident_from_wire
from homeostat.wire.packs import pack_from_wire
from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat.wire.values import WireError
from homeostat_agent.decider.care import Care, Phase
from homeostat_agent.decider.effects import RunAsked
from homeostat_agent.decider.pipeline import Restored
from homeostat_agent.decider.recording import RUN_KEY
from homeostat_agent.decider.store.incidents import EntryMessage, IncidentRecord
from homeostat_agent.decider.store.recorder import Stores


def restore(stores: Stores, now: datetime) -> Restored:
    """Return what is on disk; an incident that cannot be read any more is closed as superseded."""
    past = stores.incidents.runs(now - PERIOD_MAX)
    run = _run(stores.state.get(RUN_KEY), past)
    cases = []
    for record in stores.incidents.open():
        try:
            cases.append(_care(record, run))
        except WireError:
            closed = link_pb2.IncidentClosed(incident_id=record.incident.id, how="superseded")
            closed.at.FromDatetime(now)
            stores.incidents.closed(closed)
    return Restored(tuple(cases), past)


def _run(kept: bytes | None, past: dict[str, PastRun]) -> RunAsked | None:
    if kept is None:
        return None
    run_id, incident_id, pack_id = json.loads(kept)
    known = past.get(run_id)
    return RunAsked(run_id, incident_id, known, pack_id) if known is not None and known.ending is None else None


def _care(record: IncidentRecord, run: RunAsked | None) -> Care:
    care = Care(incident_from_wire(record.incident), confirmed=False)
    for entry in record.entries:
        care = _after(care, entry)
    if run is not None and run.incident_id == care.incident.id:
        return replace(care, phase=Phase.HEALING, run=run)
    return replace(care, phase=Phase.WAITING if care.pack is not None else Phase.DECIDED)


def _after(care: Care, entry: EntryMessage) -> Care:
    match entry:
        case incident_pb2.Decision():
            return replace(care, decision=decision_from_wire(entry).decision)
        case incident_pb2.ExceptionPack():
            return replace(care, pack=pack_from_wire(entry))
        case incident_pb2.Outcome():
            return replace(care, pack=None)
        case link_pb2.Denial() if care.pack is not None and care.pack.id == entry.pack_id:
            return replace(care, pack=None, denied=care.pack.policy_revision)
        case _:
            return care
