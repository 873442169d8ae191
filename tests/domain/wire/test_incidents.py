from collections.abc import Callable

import pytest
from domain_strategies import incidents, subjects
from domain_values import DOWN, NOW, WEB
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_checks import comes_back, is_value_or_wire_error, spoilt

from homeostat.evidence import Anomaly, Attribution, Evidence
from homeostat.incident import Incident
from homeostat.subject import Subject
from homeostat.wire import incidents as wire
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError

FULL = Incident(
    "i1",
    "e1",
    DOWN.fault,
    WEB,
    1.0,
    NOW,
    Evidence(DOWN.evidence.signals, Anomaly(0.9, 1e-6, (Attribution("cpu.busy", 0.5, 99.0, 5.0),), "m1")),
    {"env": "prod"},
    NOW,
)


def message() -> incident_pb2.Incident:
    return wire.incident_to_wire(FULL)


@settings(max_examples=60, deadline=None)
@given(incidents)
def test_incidents_come_back(incident: Incident) -> None:
    comes_back(incident, wire.incident_to_wire, wire.incident_from_wire)


@given(subjects)
def test_subjects_come_back(subject: Subject) -> None:
    comes_back(subject, wire.subject_to_wire, wire.subject_from_wire)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_spoilt_incident_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, message()), wire.incident_from_wire)


Spoil = Callable[[incident_pb2.Incident], object]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one.ClearField("id"), "id: is missing"),
        (lambda one: one.ClearField("endpoint_id"), "endpoint_id: is missing"),
        (lambda one: setattr(one, "fault", "tired"), "fault: 'tired' is not known here"),
        (lambda one: one.ClearField("subject"), "subject: is missing"),
        (lambda one: setattr(one.subject, "kind", "printer"), "subject.kind: 'printer' is not known here"),
        (lambda one: setattr(one.subject, "name", ""), "subject.name: is missing"),
        (lambda one: setattr(one, "confidence", 1.01), "confidence: is not from 0 to 1"),
        (lambda one: setattr(one, "confidence", float("nan")), "confidence: is not from 0 to 1"),
        (lambda one: one.ClearField("opened_at"), "opened_at: is missing"),
        (lambda one: setattr(one.closed_at, "nanos", -1), "closed_at: no valid time"),
        (lambda one: one.ClearField("evidence"), "evidence: is missing"),
        (lambda one: setattr(one.evidence.signals[0], "kind", "smell"), "signal.kind: 'smell' is not known here"),
        (lambda one: one.evidence.signals[0].ClearField("subject"), "subject: is missing"),
        (lambda one: one.evidence.signals[0].ClearField("at"), "at: is missing"),
        (lambda one: setattr(one.evidence.signals[0], "value", float("inf")), "signal.value: is not a finite number"),
        (lambda one: setattr(one.evidence.signals[0], "limit", float("nan")), "signal.limit: is not a finite number"),
        (lambda one: setattr(one.evidence.anomaly, "score", 2.0), "anomaly.score: is not from 0 to 1"),
        (lambda one: setattr(one.evidence.anomaly, "p_value", -0.1), "anomaly.p_value: is not from 0 to 1"),
        (lambda one: one.evidence.anomaly.attributions.add(share=0.5), "attribution.feature: is missing"),
        (
            lambda one: setattr(one.evidence.anomaly.attributions[0], "share", 2),
            "attribution.share: is not from 0 to 1",
        ),
        (lambda one: setattr(one.evidence.anomaly.attributions[0], "value", float("nan")), "attribution.value: is not"),
        (lambda one: setattr(one.evidence.anomaly.attributions[0], "usual", float("nan")), "attribution.usual: is not"),
    ],
)
def test_what_is_no_incident(spoil: Spoil, said: str) -> None:
    spoiled = message()
    spoil(spoiled)
    with pytest.raises(WireError) as caught:
        wire.incident_from_wire(spoiled)
    assert str(caught.value).startswith(said)
