"""What the controller's tests put into a store: endpoints, events in a chain, packs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from homeostat.wire.v1 import incident_pb2, link_pb2, policy_pb2
from homeostat_controller.agents.ingest import Ingest
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import endpoint_changes, organisations
from homeostat_controller.store.database import Database

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def add_endpoint(
    database: Database,
    endpoint_id: str = "ep-1",
    *,
    name: str = "web-1",
    labels: Mapping[str, str] | None = None,
    group: str = "default",
) -> str:
    certificate = endpoint_changes.Certificate(f"key-of-{endpoint_id}", "1", START + timedelta(days=1))
    with database.write() as connection:
        place = organisations.group(connection, group)
        facts = {"os": "debian", "hostname": name}
        new = endpoint_changes.NewEndpoint(endpoint_id, place, name, labels or {}, facts, certificate)
        endpoint_changes.add(connection, new, START)
    return endpoint_id


@dataclass
class Chain:
    """An endpoint's outbox, as an agent keeps it."""

    endpoint_id: str = "ep-1"
    head: bytes = bytes(32)
    next_sequence: int = 1
    records: list[link_pb2.EventRecord] = field(default_factory=list)
    before: dict[int, bytes] = field(default_factory=dict)

    def add(self, event: link_pb2.Event | bytes) -> link_pb2.EventRecord:
        body = event if isinstance(event, bytes) else event.SerializeToString()
        self.before[self.next_sequence] = self.head
        self.head = hashlib.sha256(self.head + self.next_sequence.to_bytes(8, "big") + body).digest()
        record = link_pb2.EventRecord(sequence=self.next_sequence, body=body, hash=self.head)
        self.records.append(record)
        self.next_sequence += 1
        return record

    def push(self, first: int = 1, last: int | None = None) -> link_pb2.PushEventsRequest:
        """A request with the records from one number to another."""
        chosen = [one for one in self.records if first <= one.sequence <= (last or self.next_sequence)]
        return link_pb2.PushEventsRequest(
            instance_uid=self.endpoint_id, records=chosen, previous_hash=self.before.get(first, self.head)
        )


def stamp(message: object, name: str, at: datetime) -> None:
    getattr(message, name).FromDatetime(at)


def incident(incident_id: str = "inc-1", at: datetime = START, subject: str = "web") -> incident_pb2.Incident:
    said = incident_pb2.Incident(
        id=incident_id,
        endpoint_id="ep-1",
        fault="service-down",
        subject=incident_pb2.Subject(kind="service", name=subject),
        confidence=1.0,
    )
    signal = incident_pb2.Signal(kind="service-exited", subject=said.subject, value=1.0, limit=1.0)
    stamp(signal, "at", at)
    stamp(said, "opened_at", at)
    said.evidence.signals.append(signal)
    return said


def opened(incident_id: str = "inc-1", at: datetime = START, subject: str = "web") -> link_pb2.Event:
    event = link_pb2.Event(incident_opened=incident(incident_id, at, subject))
    stamp(event, "at", at)
    return event


def decision(
    incident_id: str = "inc-1",
    kind: incident_pb2.DecisionKind.ValueType = incident_pb2.DECISION_KIND_ASK,
    at: datetime = START,
) -> incident_pb2.Decision:
    reason = incident_pb2.Reason(code="risk", rule="services", sentence="restart_service is of medium risk.")
    said = incident_pb2.Decision(
        incident_id=incident_id,
        kind=kind,
        playbook="restart",
        reason=reason,
        policy="web",
        policy_revision=1,
    )
    stamp(said, "at", at)
    return said


def decided(incident_id: str = "inc-1", at: datetime = START) -> link_pb2.Event:
    return link_pb2.Event(decision=decision(incident_id, at=at))


def closed(incident_id: str = "inc-1", at: datetime = START, how: str = "healed") -> link_pb2.Event:
    event = link_pb2.Event(incident_closed=link_pb2.IncidentClosed(incident_id=incident_id, how=how))
    stamp(event.incident_closed, "at", at)
    return event


def outcome(
    run_id: str = "run-1",
    incident_id: str = "inc-1",
    at: datetime = START,
    ending: incident_pb2.Ending.ValueType = incident_pb2.ENDING_HEALED,
    pack_id: str = "",
) -> link_pb2.Event:
    said = incident_pb2.Outcome(
        run_id=run_id,
        incident_id=incident_id,
        playbook="restart",
        action="restart_service",
        subject=incident_pb2.Subject(kind="service", name="web"),
        ending=ending,
        reason="The service answers.",
        pack_id=pack_id,
        steps=[incident_pb2.RunStep(stage="verifying", detail="running")],
    )
    stamp(said, "started_at", at)
    stamp(said, "ended_at", at + timedelta(seconds=2))
    stamp(said.steps[0], "at", at)
    return link_pb2.Event(outcome=said)


def pack(
    pack_id: str = "pack-1", incident_id: str = "inc-1", at: datetime = START, life: timedelta = timedelta(hours=1)
) -> link_pb2.Event:
    step = incident_pb2.Step(restart_service=incident_pb2.RestartService(service="web"))
    said = incident_pb2.ExceptionPack(
        id=pack_id,
        incident=incident(incident_id, at),
        decision=decision(incident_id, at=at),
        playbook="restart",
        risk=policy_pb2.RISK_MEDIUM,
        plan=incident_pb2.Plan(forward=[step], state_digest=bytes(32), expected_effect="web runs again"),
        undo="A restart cannot be undone.",
    )
    stamp(said, "created_at", at)
    stamp(said, "expires_at", at + life)
    return link_pb2.Event(exception_pack=said)


def ingest(
    database: Database, requests: Sequence[link_pb2.PushEventsRequest], now: datetime = START
) -> list[int | Exception]:
    """Store requests as the inbox's thread does, in one transaction."""
    with database.write() as connection:
        return list(Ingest(Metrics()).store(connection, requests, now))
