"""Scorer: how unusual one feature vector is, by the on-device model and what is usual for this endpoint.

The real one runs an ONNX graph whose file never changes; what the endpoint learns lies in a state of its own. One
invariant: a model that was made for other features than this agent extracts, whose bytes are not the manifest's, or
that gives another answer here than where it was built, is never used.
"""

import json
from dataclasses import dataclass
from math import isclose, isfinite, nan
from pathlib import Path
from typing import Protocol, Self

from homeostat.adaptation import Prior, Usual, centre_and_scale, learn
from homeostat.evidence import Anomaly, Attribution
from homeostat.features import FEATURE_SET_VERSION, FEATURES, natural
from homeostat_agent.decider import model_folder, usual_state
from homeostat_agent.decider.model_folder import Manifest, ModelRefused
from homeostat_agent.decider.onnx_library import OnnxError, OnnxLibrary, OnnxSession

# With fewer features than this the imputed ones would say more than the measured: no score.
PRESENT_LEAST = len(FEATURES) // 2
ATTRIBUTIONS_MAX = 5

_INPUTS = {name: len(FEATURES) for name in ("features", "centre", "scale")}
_OUTPUTS = {"score": 1, "p_value": 1, "share": len(FEATURES)}
# The probe's answers are compared this closely: float32 sums in another order differ by less.
_PROBE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people should be told once: a code that stays the same, and a sentence."""

    code: str
    sentence: str


class Scorer(Protocol):
    """Whatever tells how unusual a feature vector is."""

    @property
    def model(self) -> str:
        """Name and version of the model."""

    def score(self, features: tuple[float, ...], *, learn: bool) -> Anomaly | None:
        """Score one vector (NaN: missing), then, if `learn`, take it into what is usual.

        `learn` is false while an incident is open, or the fault would become usual. None when too little was measured.
        ValueError when it has not one number per feature.
        """

    def save(self) -> None:
        """Keep what was learnt over a restart; nothing to do if nothing was learnt since. OSError if it cannot be."""

    def close(self) -> None:
        """Give back what is held; a second call does nothing."""


class OnnxScorer:
    """A Scorer by onnxruntime. One thread owns it."""

    def __init__(self, session: OnnxSession, manifest: Manifest, state: Path, usual: Usual) -> None:
        """Take over an open session of a model that belongs to the manifest; ModelRefused if it does not."""
        self._session, self._state = session, state
        self._usual, self._saved = usual, usual
        self.model = manifest.name
        _check_metadata(session, manifest)
        self._prior = _prior(session)
        self._check_probe()

    @classmethod
    def open(cls, folder: Path, state: Path, library: OnnxLibrary) -> tuple[Self, tuple[Notice, ...]]:
        """Return a scorer with the folder's newest model that can be used, and what people should be told.

        `state` is the file for what is learnt. `library` must outlive the scorer. Raises ModelRefused, with every
        reason, when no model can be used.
        """
        found, reasons = model_folder.manifests(folder)
        usual, dropped = usual_state.load(state)
        for manifest in found:
            try:
                scorer = cls._opened(library, manifest, state, usual)
            except ModelRefused as refused:
                reasons.append(str(refused))
                continue
            notices = [Notice("model-refused", reason) for reason in reasons]
            if dropped:
                notices.append(Notice("usual-dropped", f"What was learnt of this endpoint is dropped: {dropped}."))
            return scorer, tuple(notices)
        raise ModelRefused("; ".join(reasons) or f"{folder}: holds no model manifest (*.json)")

    @classmethod
    def _opened(cls, library: OnnxLibrary, manifest: Manifest, state: Path, usual: Usual) -> Self:
        content = model_folder.content(manifest)
        try:
            session = OnnxSession(library, content, _INPUTS, _OUTPUTS)
        except OnnxError as error:
            raise ModelRefused(f"{manifest.path}: {error}") from error
        try:
            return cls(session, manifest, state, usual)
        except (ModelRefused, OnnxError) as error:
            session.close()
            raise ModelRefused(f"{manifest.path}: {error}") from error

    def score(self, features: tuple[float, ...], *, learn: bool) -> Anomaly | None:
        """See Scorer.score."""
        if len(features) != len(FEATURES):
            raise ValueError(f"{len(features)} features, not {len(FEATURES)}")
        vector = [value if isfinite(value) else nan for value in features]
        if sum(map(isfinite, vector)) < PRESENT_LEAST:
            return None
        centre, scale = centre_and_scale(self._usual, self._prior)
        score, p_value = self._run(vector, centre, scale)
        anomaly = Anomaly(score, p_value, self._attributions(vector, centre), self.model)
        if learn:
            self._learn(vector)
        return anomaly if isfinite(score) and isfinite(p_value) else None

    def save(self) -> None:
        """See Scorer.save."""
        if self._usual is not self._saved:
            usual_state.save(self._state, self._usual)
            self._saved = self._usual

    def close(self) -> None:
        """See Scorer.close."""
        self._session.close()

    def _run(self, vector: list[float], centre: list[float], scale: list[float]) -> tuple[float, float]:
        session = self._session
        session.fill("features", vector)
        session.fill("centre", centre)
        session.fill("scale", scale)
        session.run()
        return session.outputs["score"][0], session.outputs["p_value"][0]

    def _attributions(self, vector: list[float], centre: list[float]) -> tuple[Attribution, ...]:
        shares: list[float] = self._session.outputs["share"][:]
        measured = [place for place, value in enumerate(vector) if isfinite(value)]
        measured.sort(key=shares.__getitem__, reverse=True)
        return tuple(
            Attribution(FEATURES[i], shares[i], natural(FEATURES[i], vector[i]), natural(FEATURES[i], centre[i]))
            for i in measured[:ATTRIBUTIONS_MAX]
        )

    def _learn(self, vector: list[float]) -> None:
        self._usual = learn(self._usual, self._prior, vector)

    def _check_probe(self) -> None:
        try:
            probe = json.loads(self._session.metadata("probe") or "")
            vector, expected = [float(one) for one in probe["features"]], (probe["score"], probe["p_value"])
            found = self._run(vector, list(self._prior.centre), list(self._prior.scale))
            same = all(isclose(a, b, rel_tol=_PROBE_TOLERANCE) for a, b in zip(found, expected, strict=True))
        except (ValueError, TypeError, KeyError) as error:
            raise ModelRefused("its probe is missing or damaged") from error
        if not same:
            raise ModelRefused(f"its probe gives {found} on this machine, not {expected}")


def _check_metadata(session: OnnxSession, manifest: Manifest) -> None:
    said = {name: session.metadata(name) for name in ("model", "version", "feature_set_version")}
    expected = {
        "model": manifest.model,
        "version": str(manifest.version),
        "feature_set_version": str(FEATURE_SET_VERSION),
    }
    for name, value in expected.items():
        if said[name] != value:
            raise ModelRefused(f"the model's own {name} is {said[name]!r}, not {value!r}")
    try:
        features = [str(one) for one in json.loads(session.metadata("features") or "")]
    except (ValueError, TypeError) as error:
        raise ModelRefused("the model does not name its features") from error
    model_folder.check_features(features, "the model")


def _prior(session: OnnxSession) -> Prior:
    try:
        fields = json.loads(session.metadata("prior") or "")
        centre, scale, floor = (tuple(float(one) for one in fields[name]) for name in ("centre", "scale", "floor"))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelRefused("its prior is missing or damaged") from error
    if not all(len(one) == len(FEATURES) and all(map(isfinite, one)) for one in (centre, scale, floor)):
        raise ModelRefused("its prior has not one number per feature")
    if min(*scale, *floor) <= 0:
        raise ModelRefused("its prior has a scale or floor that is not above 0")
    return Prior(centre, scale, floor)
