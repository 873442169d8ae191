"""Incidents and their evidence ⇄ messages."""

from homeostat.diagnosis import FaultClass
from homeostat.evidence import Anomaly, Attribution, Evidence, Signal, SignalKind
from homeostat.incident import Incident
from homeostat.subject import Subject, SubjectKind
from homeostat.wire import values
from homeostat.wire.v1 import incident_pb2


def incident_to_wire(incident: Incident) -> incident_pb2.Incident:
    """Return the message; ValueError for a naive time."""
    closed = incident.closed_at
    return incident_pb2.Incident(
        id=incident.id,
        endpoint_id=incident.endpoint_id,
        labels=dict(incident.labels),
        fault=incident.fault,
        subject=subject_to_wire(incident.subject),
        confidence=incident.confidence,
        opened_at=values.moment_to_wire(incident.opened_at),
        closed_at=values.moment_to_wire(closed) if closed is not None else None,
        evidence=evidence_to_wire(incident.evidence),
    )


def incident_from_wire(message: incident_pb2.Incident) -> Incident:
    """Return the incident; WireError if the message is none."""
    return Incident(
        id=values.text(message.id, "id"),
        endpoint_id=values.text(message.endpoint_id, "endpoint_id"),
        fault=values.word(FaultClass, message.fault, "fault"),
        subject=subject_from_wire(values.part(message, "subject", incident_pb2.Subject)),
        confidence=values.share(message.confidence, "confidence"),
        opened_at=values.moment_from_wire(message, "opened_at"),
        evidence=evidence_from_wire(values.part(message, "evidence", incident_pb2.Evidence)),
        labels=dict(message.labels),
        closed_at=values.optional_moment_from_wire(message, "closed_at"),
    )


def subject_to_wire(subject: Subject) -> incident_pb2.Subject:
    """Return the message."""
    return incident_pb2.Subject(kind=subject.kind, name=subject.name)


def subject_from_wire(message: incident_pb2.Subject) -> Subject:
    """Return the subject; WireError for a kind that is not known, or no name."""
    return Subject(values.word(SubjectKind, message.kind, "subject.kind"), values.text(message.name, "subject.name"))


def evidence_to_wire(evidence: Evidence) -> incident_pb2.Evidence:
    """Return the message; ValueError for a naive time."""
    return incident_pb2.Evidence(
        signals=[_signal_to_wire(signal) for signal in evidence.signals],
        anomaly=_anomaly_to_wire(evidence.anomaly) if evidence.anomaly is not None else None,
    )


def evidence_from_wire(message: incident_pb2.Evidence) -> Evidence:
    """Return the evidence; WireError if the message is none."""
    return Evidence(
        signals=tuple(_signal_from_wire(signal) for signal in message.signals),
        anomaly=_anomaly_from_wire(message.anomaly) if message.HasField("anomaly") else None,
    )


def _signal_to_wire(signal: Signal) -> incident_pb2.Signal:
    return incident_pb2.Signal(
        kind=signal.kind,
        subject=subject_to_wire(signal.subject),
        at=values.moment_to_wire(signal.at),
        value=signal.value,
        limit=signal.limit,
        unit=signal.unit,
        detail=signal.detail,
    )


def _signal_from_wire(message: incident_pb2.Signal) -> Signal:
    return Signal(
        kind=values.word(SignalKind, message.kind, "signal.kind"),
        subject=subject_from_wire(values.part(message, "subject", incident_pb2.Subject)),
        at=values.moment_from_wire(message, "at"),
        value=values.finite(message.value, "signal.value"),
        limit=values.finite(message.limit, "signal.limit"),
        unit=message.unit,
        detail=message.detail,
    )


def _anomaly_to_wire(anomaly: Anomaly) -> incident_pb2.Anomaly:
    return incident_pb2.Anomaly(
        score=anomaly.score,
        p_value=anomaly.p_value,
        attributions=[
            incident_pb2.Attribution(feature=one.feature, share=one.share, value=one.value, usual=one.usual)
            for one in anomaly.attributions
        ],
        model=anomaly.model,
    )


def _anomaly_from_wire(message: incident_pb2.Anomaly) -> Anomaly:
    return Anomaly(
        score=values.share(message.score, "anomaly.score"),
        p_value=values.share(message.p_value, "anomaly.p_value"),
        attributions=tuple(_attribution_from_wire(one) for one in message.attributions),
        model=message.model,
    )


def _attribution_from_wire(message: incident_pb2.Attribution) -> Attribution:
    return Attribution(
        feature=values.text(message.feature, "attribution.feature"),
        share=values.share(message.share, "attribution.share"),
        value=values.finite(message.value, "attribution.value"),
        usual=values.finite(message.usual, "attribution.usual"),
    )
