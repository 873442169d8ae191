import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_agent.cli import telling
from homeostat_agent.decider.store.incidents import EntryMessage, IncidentRecord

AT = Timestamp(seconds=1_700_000_000)
SUBJECT = incident_pb2.Subject(kind="service", name="web")
INCIDENT = incident_pb2.Incident(
    id="i-1",
    fault="service-down",
    subject=SUBJECT,
    confidence=1.0,
    opened_at=AT,
    evidence=incident_pb2.Evidence(signals=[incident_pb2.Signal(kind="service-exited", detail="web (pid 7) ended")]),
)
DECISION = incident_pb2.Decision(
    at=AT,
    kind=incident_pb2.DECISION_KIND_ACT,
    playbook="restart",
    reason=incident_pb2.Reason(code="delegated", rule="r", sentence="Rule r delegates restart."),
    policy="demo",
    policy_revision=3,
)


def step(stage: str, detail: str) -> incident_pb2.RunStep:
    return incident_pb2.RunStep(stage=stage, at=AT, detail=detail)


def outcome(
    ending: "incident_pb2.Ending.ValueType", *steps: incident_pb2.RunStep, reason: str = ""
) -> incident_pb2.Outcome:
    return incident_pb2.Outcome(ending=ending, ended_at=AT, steps=steps, reason=reason)


def told(how: str, *entries: EntryMessage) -> dict[str, str]:
    return {line.step: line.said for line in telling.tell(IncidentRecord(INCIDENT, how, entries))}


def test_a_healed_incident_in_five_lines() -> None:
    steps = (
        step("prechecking", "accepted"),
        step("prechecking", "declared"),
        step("acting", "restarted web"),
        step("verifying", "web answers"),
    )
    found = told("healed", DECISION, outcome(incident_pb2.ENDING_HEALED, *steps))
    assert found == {
        "detected": "service-down on service:web: web (pid 7) ended",
        "decided": "act restart, confidence 1.00, policy demo r3: Rule r delegates restart.",
        "pre-check": "declared",
        "acted": "restarted web",
        "verified": "healed: web answers",
    }


def test_an_undone_repair_says_so() -> None:
    steps = (step("acting", "x"), step("verifying", "not well"), step("rolling-back", "put back"))
    found = told("", DECISION, outcome(incident_pb2.ENDING_ROLLED_BACK, *steps, reason="web does not answer"))
    assert found["undone"] == "rolled-back: web does not answer"


def test_an_open_incident_shows_what_is_not_there_yet() -> None:
    found = told("")
    assert found["decided"] == "not yet"
    assert found["pre-check"] == found["acted"] == found["verified"] == "nothing yet"


def test_what_was_never_done_is_not_still_to_come_once_it_is_over() -> None:
    found = told("recovered", DECISION)
    assert found["pre-check"] == found["acted"] == "nothing was done"
    assert found["verified"] == "closed: recovered"


def test_a_pack_and_its_denial_are_told() -> None:
    pack = incident_pb2.ExceptionPack(id="p-1", playbook="restart", plan=incident_pb2.Plan(expected_effect="web runs"))
    found = told("", DECISION, pack, link_pb2.Denial(pack_id="p-1", by="kim", reason="not now"))
    assert found["asked"].startswith("exception pack p-1, restart: web runs")
    assert found["denied"] == "by kim: not now"


def test_an_anomaly_alone_is_told_by_its_metrics() -> None:
    anomaly = incident_pb2.Anomaly(p_value=1e-5, attributions=[incident_pb2.Attribution(feature="cpu.busy", share=0.8)])
    bare = incident_pb2.Incident(
        fault="unexplained",
        subject=incident_pb2.Subject(kind="endpoint", name="self"),
        evidence=incident_pb2.Evidence(anomaly=anomaly),
    )
    first = telling.tell(IncidentRecord(bare, ""))[0]
    assert first.said == "unexplained on endpoint:self: unusual, p-value 1e-05 (cpu.busy 80%)"


@pytest.mark.parametrize(("ending", "word"), telling.ENDINGS.items())
def test_every_ending_has_its_word(ending: "incident_pb2.Ending.ValueType", word: str) -> None:
    assert telling.summary(IncidentRecord(INCIDENT, "healed", (outcome(ending),)))["outcome"] == word
