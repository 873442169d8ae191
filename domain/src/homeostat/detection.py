"""Hysteresis: from what each sample shows to incidents that open and close once.

An incident opens when its hypothesis has held in as many consecutive samples as its surest witness asks for, and
closes after `CLEAR_SAMPLES` consecutive samples without it. An anomaly without direct evidence becomes an UNEXPLAINED
incident, which no policy can act on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from homeostat.diagnosis import FaultClass, Hypothesis
from homeostat.evidence import Anomaly, Evidence
from homeostat.subject import ENDPOINT, Subject

# Samples in a row without the evidence before an incident is over: at the default 5 s, ten seconds of calm.
CLEAR_SAMPLES = 2
# Samples in a row below the alarm's p-value before an anomaly without evidence is shown.
ANOMALY_SAMPLES = 6

Key = tuple[FaultClass, Subject]
_UNEXPLAINED: Key = (FaultClass.UNEXPLAINED, ENDPOINT)


@dataclass(frozen=True, slots=True)
class Track:
    """How long one hypothesis has held (`held`) or been absent (`clear`), in samples."""

    held: int = 0
    clear: int = 0
    open: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """The state between samples."""

    tracks: Mapping[Key, Track] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """A hypothesis became an incident."""

    fault: FaultClass
    subject: Subject
    confidence: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Closed:
    """An incident's evidence has been gone for long enough."""

    fault: FaultClass
    subject: Subject


def update(
    state: Detection, hypotheses: Iterable[Hypothesis], anomaly: Anomaly | None, alarm_p_value: float
) -> tuple[Detection, tuple[Opened | Closed, ...]]:
    """Take in one sample's findings; return the next state and what opened or closed.

    `anomaly` is None when the model gave no score; then what it said before stays as it was.
    """
    seen = {(one.fault, one.subject): one for one in hypotheses}
    alarm = anomaly is not None and anomaly.p_value <= alarm_p_value and not seen
    tracks = {key: track for key, track in state.tracks.items() if key == _UNEXPLAINED and anomaly is None}
    changes: list[Opened | Closed] = []
    for key in sorted({*state.tracks, *seen, _UNEXPLAINED} - {*tracks}):
        track = state.tracks.get(key, Track())
        present = key in seen or (key == _UNEXPLAINED and alarm)
        needed = seen[key].samples_least if key in seen else ANOMALY_SAMPLES
        after = _step(track, present=present, needed=needed)
        if after.open and not track.open:
            changes.append(_opened(key, seen.get(key), anomaly))
        elif track.open and not after.open:
            changes.append(Closed(*key))
        if after.open or after.held:
            tracks[key] = after
    return Detection(tracks), tuple(changes)


def open_now(hypothesis: Hypothesis, anomaly: Anomaly | None, state: Detection) -> tuple[Detection, Opened | None]:
    """Take in one event between samples, such as a process that ended.

    Only a certain hypothesis opens an incident at once; anything less, or one already open, changes nothing.
    """
    key = (hypothesis.fault, hypothesis.subject)
    if hypothesis.samples_least > 1 or state.tracks.get(key, Track()).open:
        return state, None
    tracks = {**state.tracks, key: Track(held=1, open=True)}
    return Detection(tracks), _opened(key, hypothesis, anomaly)


def forget(state: Detection, fault: FaultClass, subject: Subject) -> Detection:
    """Drop one track after a verified repair, so that the same fault coming back is a new incident."""
    return Detection({key: track for key, track in state.tracks.items() if key != (fault, subject)})


def _step(track: Track, *, present: bool, needed: int) -> Track:
    if present:
        held = track.held + 1
        return Track(held=held, clear=0, open=track.open or held >= needed)
    clear = track.clear + 1
    if track.open and clear < CLEAR_SAMPLES:
        return Track(held=track.held, clear=clear, open=True)
    return Track()


def _opened(key: Key, hypothesis: Hypothesis | None, anomaly: Anomaly | None) -> Opened:
    if hypothesis is None:
        return Opened(*key, confidence=0.0, evidence=Evidence((), anomaly))
    return Opened(*key, confidence=hypothesis.confidence, evidence=Evidence(hypothesis.signals, anomaly))
