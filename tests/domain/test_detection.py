from collections.abc import Sequence

import pytest
from domain_values import NOW, WEB
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detection import (
    ANOMALY_SAMPLES,
    CLEAR_SAMPLES,
    Closed,
    Detection,
    Opened,
    Track,
    forget,
    open_now,
    update,
)
from homeostat.diagnosis import WITNESSES, FaultClass, Hypothesis, rank
from homeostat.evidence import Anomaly, Evidence, Signal, SignalKind
from homeostat.subject import ENDPOINT, Subject, SubjectKind

ALARM = 0.001
CALM = Anomaly(0.1, 0.5)
ODD = Anomaly(0.99, ALARM)
UNEXPLAINED = (FaultClass.UNEXPLAINED, ENDPOINT)


def hypotheses(*kinds: SignalKind, subject: Subject = WEB) -> tuple[Hypothesis, ...]:
    return rank(Signal(kind, subject, NOW) for kind in kinds)


Sample = tuple[tuple[Hypothesis, ...], Anomaly | None]


def seen(samples: Sequence[Sample], state: Detection | None = None) -> tuple[Detection, list[str]]:
    """What each sample opened and closed: `+fault`, `-fault`, or nothing."""
    state, told = state or Detection(), []
    for found, anomaly in samples:
        state, changes = update(state, found, anomaly, ALARM)
        told.append(" ".join(f"{'+' if isinstance(one, Opened) else '-'}{one.fault}" for one in changes))
    return state, told


NOTHING: Sample = ((), CALM)
EXITED: Sample = (hypotheses(SignalKind.SERVICE_EXITED), CALM)
GROWING: Sample = (hypotheses(SignalKind.MEMORY_GROWING), CALM)
SURER: Sample = (hypotheses(SignalKind.MEMORY_GROWING, SignalKind.MEMORY_OVER_LIMIT), CALM)


@pytest.mark.parametrize("kind", SignalKind)
def test_an_incident_opens_when_its_witness_has_lasted_and_not_before(kind: SignalKind) -> None:
    needed = WITNESSES[kind].samples_least
    _, told = seen([(hypotheses(kind), CALM)] * (needed + 3))
    assert told == [""] * (needed - 1) + [f"+{WITNESSES[kind].fault}"] + [""] * 3


def test_the_samples_must_be_in_a_row() -> None:
    _, told = seen([GROWING, GROWING, NOTHING, GROWING, GROWING, GROWING])
    assert told == ["", "", "", "", "", "+memory-leak"]


def test_a_surer_witness_needs_fewer_samples_and_what_came_before_counts() -> None:
    assert seen([SURER, SURER])[1] == ["", "+memory-leak"]
    assert seen([GROWING, SURER])[1] == ["", "+memory-leak"]


def test_an_incident_closes_after_calm_samples_in_a_row_and_only_once() -> None:
    _, told = seen([EXITED] + [NOTHING] * (CLEAR_SAMPLES + 2))
    assert told == ["+service-down"] + [""] * (CLEAR_SAMPLES - 1) + ["-service-down", "", ""]


def test_what_comes_back_before_that_is_the_same_incident() -> None:
    assert seen([EXITED, NOTHING, EXITED, NOTHING, NOTHING, EXITED])[1] == [
        "+service-down", "", "", "", "-service-down", "+service-down",
    ]  # fmt: skip


def test_subjects_and_faults_are_told_apart() -> None:
    db = Subject(SubjectKind.SERVICE, "db")
    both = (*EXITED[0], *hypotheses(SignalKind.SERVICE_EXITED, subject=db), *hypotheses(SignalKind.NO_PROGRESS))
    state, changes = update(Detection(), both, CALM, ALARM)
    assert [(one.fault, one.subject.name) for one in changes] == [
        ("service-down", "db"),
        ("service-down", "web"),
        ("service-hung", "web"),
    ]
    assert seen([EXITED, EXITED], state)[1] == ["", "-service-down -service-hung"]


def test_an_incident_carries_its_evidence() -> None:
    _, (opened,) = update(Detection(), EXITED[0], ODD, ALARM)
    assert opened == Opened(FaultClass.SERVICE_DOWN, WEB, 1.0, Evidence(EXITED[0][0].signals, ODD))


def test_an_anomaly_without_evidence_becomes_unexplained_after_a_while() -> None:
    state, told = seen([((), ODD)] * (ANOMALY_SAMPLES + 1))
    assert told == [""] * (ANOMALY_SAMPLES - 1) + ["+unexplained", ""]
    assert seen([NOTHING] * CLEAR_SAMPLES, state)[1][-1] == "-unexplained"


def test_an_unexplained_incident_has_no_confidence() -> None:
    state, _ = seen([((), ODD)] * (ANOMALY_SAMPLES - 1))
    _, changes = update(state, (), ODD, ALARM)
    assert changes == (Opened(*UNEXPLAINED, confidence=0.0, evidence=Evidence((), ODD)),)


def test_what_is_explained_is_not_unexplained() -> None:
    state, told = seen([(EXITED[0], ODD)] * (ANOMALY_SAMPLES + 1))
    assert told[1:] == [""] * ANOMALY_SAMPLES
    open_state, _ = seen([((), ODD)] * ANOMALY_SAMPLES)
    assert seen([(EXITED[0], ODD)] * 2, open_state)[1] == ["+service-down", "-unexplained"]
    assert UNEXPLAINED not in state.tracks


def test_without_a_score_the_model_neither_opens_nor_closes_anything() -> None:
    almost, _ = seen([((), ODD)] * (ANOMALY_SAMPLES - 1))
    blind, told = seen([((), None)] * 20, almost)
    assert told == [""] * 20
    assert blind == almost
    assert seen([((), ODD)], blind)[1] == ["+unexplained"]
    calming, _ = seen([((), ODD)] * ANOMALY_SAMPLES + [NOTHING] * (CLEAR_SAMPLES - 1))
    blind, told = seen([((), None)] * 20, calming)
    assert told == [""] * 20
    assert seen([NOTHING], blind)[1] == ["-unexplained"]


def test_without_a_score_direct_evidence_still_counts() -> None:
    assert seen([(EXITED[0], None)])[1] == ["+service-down"]


def test_a_certain_event_opens_at_once_and_only_once() -> None:
    (hypothesis,) = EXITED[0]
    state, opened = open_now(hypothesis, ODD, Detection())
    assert opened == Opened(FaultClass.SERVICE_DOWN, WEB, 1.0, Evidence(hypothesis.signals, ODD))
    assert open_now(hypothesis, ODD, state) == (state, None)
    assert seen([EXITED, NOTHING, NOTHING], state)[1] == ["", "", "-service-down"]


def test_an_uncertain_event_waits_for_the_samples() -> None:
    (hypothesis,) = GROWING[0]
    assert open_now(hypothesis, None, Detection()) == (Detection(), None)


def test_after_a_verified_repair_the_same_fault_is_a_new_incident() -> None:
    state, _ = seen([EXITED])
    assert forget(state, FaultClass.SERVICE_HUNG, WEB) == state
    assert seen([EXITED], forget(state, FaultClass.SERVICE_DOWN, WEB))[1] == ["+service-down"]


def test_nothing_is_kept_of_what_is_over() -> None:
    state, _ = seen([GROWING, NOTHING, EXITED, NOTHING, NOTHING])
    assert state == Detection()
    assert Track() == Track(held=0, clear=0, open=False)


samples = st.lists(
    st.tuples(st.lists(st.sampled_from(SignalKind), max_size=3).map(lambda kinds: hypotheses(*kinds)),
              st.sampled_from((None, CALM, ODD))),
    max_size=40,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(samples)
def test_incidents_open_and_close_in_turn_whatever_is_seen(found: list[Sample]) -> None:
    state = Detection()
    is_open: set[tuple[FaultClass, Subject]] = set()
    for one in found:
        state, changes = update(state, *one, ALARM)
        for change in changes:
            key = (change.fault, change.subject)
            assert (key in is_open) is isinstance(change, Closed)
            is_open ^= {key}
        assert is_open == {key for key, track in state.tracks.items() if track.open}
