"""What the decider tells of the endpoint: its state, its metrics, telemetry, and what the machine is.

Pure: it turns what the decider knows into messages, and reads nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from homeostat.wire.v1 import enrolment_pb2, link_pb2
from homeostat_agent import VERSION
from homeostat_agent.decider.health import Health
from homeostat_agent.decider.pipeline import Pipeline
from homeostat_agent.decider.selfcare import Usage
from homeostat_agent.decider.sensing.port import Reading, ServiceReading, ServiceStatus
from homeostat_agent.decider.store.spool import SpoolState
from homeostat_agent.metrics import Snapshot

_STATES = {ServiceStatus.DOWN: "down", ServiceStatus.FAILED: "down", ServiceStatus.UNKNOWN: "unknown"}


@dataclass(slots=True)
class Known:
    """What the decider knows beside the pipeline, for whoever asks."""

    services: dict[str, ServiceReading] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    spool: SpoolState | None = None
    usage: Usage | None = None
    samples: int = 0
    events_dropped: int = 0
    records_lost: int = 0

    def take(self, reading: Reading) -> None:
        """Take in a reading."""
        self.services = {one.name: one for one in reading.services}
        self.metrics = reading.sample.values
        self.samples += 1


def endpoint_state(pipeline: Pipeline, known: Known, now: datetime) -> link_pb2.EndpointState:
    """Return the state that the controller keeps the latest of."""
    health, spool = pipeline.health, known.spool
    state = link_pb2.EndpointState(
        health=health.word,
        detail=health.detail,
        anomaly_p_value=pipeline.anomaly.p_value if pipeline.anomaly else 1.0,
        open_incidents=len(pipeline.cases),
        services=[_service(one) for one in known.services.values()],
        metrics=dict(known.metrics),
    )
    if spool is not None:
        state.outbox_records, state.outbox_bytes = spool.records, spool.bytes
        state.telemetry_dropped = spool.telemetry_dropped
    state.at.FromDatetime(now)
    return state


def snapshot(pipeline: Pipeline, known: Known, *, connected: bool) -> Snapshot:
    """Return the decider in numbers."""
    spool, usage = known.spool, known.usage
    gauges = {
        "healthy": float(pipeline.health == Health("ok")),
        "open_incidents": float(len(pipeline.cases)),
        "controller_connected": float(connected),
        "anomaly_p_value": pipeline.anomaly.p_value if pipeline.anomaly else 1.0,
        "outbox_records": float(spool.records if spool else 0),
        "outbox_bytes": float(spool.bytes if spool else 0),
        "rss_bytes": float(usage.rss_bytes if usage else 0),
        "cpu_percent": usage.cpu_percent if usage else 0.0,
        "policy_revision": float(pipeline.policy.revision),
    }
    counters = {
        "samples": float(known.samples),
        "events_dropped": float(known.events_dropped),
        "records_lost": float(known.records_lost),
        "telemetry_dropped": float(spool.telemetry_dropped if spool else 0),
    }
    return Snapshot(gauges, counters, dict(known.metrics))


def telemetry(reading: Reading) -> bytes:
    """Return one sample as a serialized Telemetry."""
    message = link_pb2.Telemetry(values=dict(reading.sample.values))
    message.at.FromDatetime(reading.sample.at)
    return message.SerializeToString()


def endpoint_facts(facts: Mapping[str, str]) -> enrolment_pb2.EndpointFacts:
    """Return what the machine is, as enrolment and hello carry it."""
    texts = ("hostname", "os", "os_version", "architecture", "machine_id_digest")
    return enrolment_pb2.EndpointFacts(
        **{name: facts.get(name, "") for name in texts},
        agent_version=VERSION,
        cpus=int(facts.get("cpus", "0")),
        memory_bytes=int(facts.get("memory_bytes", "0")),
    )


def service_word(reading: ServiceReading) -> str:
    """Return a service's state as people read it: running, down, hung or unknown."""
    if reading.status is ServiceStatus.RUNNING:
        return "hung" if reading.stopped or reading.answers is False else "running"
    return _STATES[reading.status]


def _service(reading: ServiceReading) -> link_pb2.ServiceState:
    return link_pb2.ServiceState(name=reading.name, state=service_word(reading), pid=reading.pid)
