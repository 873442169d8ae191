"""`status`, `incidents`, `why`, `policy show` and `outbox`: what the decider's store says, beside a running decider."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from homeostat.wire.v1 import incident_pb2, link_pb2, policy_pb2
from homeostat_agent.cli import telling
from homeostat_agent.cli.entry import Asked
from homeostat_agent.cli.exits import CommandError, Exit
from homeostat_agent.cli.output import clean, moment, write_one, write_rows
from homeostat_agent.cli.telling import Line
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.incidents import IncidentRecord
from homeostat_agent.decider.store.recorder import Stores, reading
from homeostat_agent.decider.store.state import ENDPOINT_STATE

OUTBOX_SHOWN_MAX = 100
OUTBOX_BYTES_MAX = 16 << 20
# The decider writes its state at least once in three heartbeats; an older one is that of a decider that ended.
STATE_AGE_S_MAX = 120.0


def status(asked: Asked) -> int:
    """Show how the endpoint is; 3 when something waits for a person."""
    with _stores(asked) as stores:
        state = link_pb2.EndpointState.FromString(stores.state.get(ENDPOINT_STATE) or b"")
        active = stores.policies.active()
        outbox = stores.spool.state()
        open_now = stores.incidents.open()
    waits = [one for one in open_now if _waits(one)]
    row: dict[str, Any] = {
        "endpoint": asked.config.agent.name,
        "health": _health(state),
        "services": ", ".join(f"{one.name} {one.state}" for one in state.services) or "-",
        "policy": f"{active.ref.name} r{active.ref.revision}" if active else "none: observing only",
        "open_incidents": len(open_now),
        "wait_for_a_person": len(waits),
        "outbox": f"{outbox.records} records, {outbox.bytes} bytes; {outbox.telemetry_dropped} telemetry dropped",
    }
    write_one(row, asked.options.output)
    return int(Exit.WAITS_FOR_APPROVAL if waits else Exit.DONE)


def incidents(asked: Asked) -> int:
    """List the latest incidents."""
    with _stores(asked) as stores:
        found = [_whole(stores, one) for one in stores.incidents.recent(asked.options.limit)]
    columns = ("id", "opened_at", "fault", "subject", "status", "outcome")
    write_rows([telling.summary(one) for one in found], columns, asked.options.output)
    return int(Exit.DONE)


def why(asked: Asked) -> int:
    """Tell one incident's way; 3 when it waits for a person, 4 when policy lets nothing be done."""
    with _stores(asked) as stores:
        record = _chosen(stores, asked.options.incident)
    lines = telling.tell(record)
    if asked.options.output == "json":
        write_rows([{"step": one.step, "at": one.at, "said": one.said} for one in lines], (), "json")
    else:
        print(f"{record.incident.id}  {record.how or 'open'}")
        for line in lines:
            print(_line(line))
    if _waits(record):
        return int(Exit.WAITS_FOR_APPROVAL)
    return int(Exit.REFUSED_BY_POLICY if _only_seen(record) else Exit.DONE)


def policy_show(asked: Asked) -> int:
    """Show the active policy."""
    with _stores(asked) as stores:
        active = stores.policies.active()
    if active is None:
        raise CommandError("No policy was accepted yet.", "The agent only observes.", "homeostat-agent doctor")
    try:
        signed = policy_pb2.Signed.FromString(active.signed)
        policy = policy_pb2.Policy.FromString(signed.payload)
    except DecodeError:
        raise CommandError("The stored policy cannot be read.", "", "homeostat-agent doctor") from None
    row = MessageToDict(policy, preserving_proto_field_name=True)
    head = {"sha256": active.ref.sha256.hex(), "signed_by": ", ".join(one.key_id for one in signed.signatures)}
    write_one({**head, **row}, asked.options.output)
    return int(Exit.DONE)


def outbox(asked: Asked) -> int:
    """List what waits for the controller."""
    with _stores(asked) as stores:
        batch = stores.spool.pending(OUTBOX_SHOWN_MAX, OUTBOX_BYTES_MAX)
        state = stores.spool.state()
    rows = []
    for entry in batch.entries:
        event = link_pb2.Event.FromString(entry.body)
        rows.append({"sequence": entry.sequence, "at": moment(event.at), "event": event.WhichOneof("event") or "?"})
    write_rows(rows, ("sequence", "at", "event"), asked.options.output)
    if asked.options.output != "json" and state.records > len(rows):
        print(f"{len(rows)} of {state.records}")
    return int(Exit.DONE)


@contextmanager
def _stores(asked: Asked) -> Iterator[Stores]:
    try:
        with reading(asked.config.store, asked.config.agent.spool_bytes_max) as stores:
            yield stores
    except StoreError as error:
        raise CommandError("There is nothing to read.", str(error), "homeostat-agent doctor") from None


def _chosen(stores: Stores, beginning: str) -> IncidentRecord:
    if beginning == "last":
        latest = stores.incidents.recent(1)
        if not latest:
            raise CommandError("No incident has been seen yet.")
        return _whole(stores, latest[0])
    found = stores.incidents.find(beginning)
    if not found:
        raise CommandError(f"No incident's id begins with {beginning!r}.", "", "homeostat-agent incidents", Exit.USAGE)
    if len(found) > 1:
        ids = ", ".join(one.incident.id for one in found[:3])
        raise CommandError(f"{len(found)} incidents begin with {beginning!r}.", ids, "Give more of the id.", Exit.USAGE)
    return found[0]


def _whole(stores: Stores, record: IncidentRecord) -> IncidentRecord:
    return next(iter(stores.incidents.find(record.incident.id)), record)


def _line(line: Line) -> str:
    return f"  {line.step:<10} {line.at[11:23] or '-':<13} {clean(line.said)}"


def _waits(record: IncidentRecord) -> bool:
    decision, pack = telling.latest(record, incident_pb2.Decision), telling.latest(record, incident_pb2.ExceptionPack)
    is_asked = decision is not None and decision.kind == incident_pb2.DECISION_KIND_ASK
    denied = {one.pack_id for one in telling.every(record, link_pb2.Denial)}
    return not record.how and is_asked and pack is not None and pack.id not in denied


def _only_seen(record: IncidentRecord) -> bool:
    decision = telling.latest(record, incident_pb2.Decision)
    seen = (incident_pb2.DECISION_KIND_OBSERVE, incident_pb2.DECISION_KIND_SHADOW, incident_pb2.DECISION_KIND_ESCALATE)
    return not record.how and decision is not None and decision.kind in seen


def _health(state: link_pb2.EndpointState) -> str:
    if not state.health:
        return "unknown: the agent has not run yet"
    now = datetime.now(UTC)
    age_s = (now - state.at.ToDatetime(UTC)).total_seconds()
    if age_s > STATE_AGE_S_MAX:
        return f"unknown: the agent last said something {age_s / 60:.0f} min ago"
    return f"{state.health}: {state.detail}" if state.detail else state.health
