"""An endpoint heals itself: the spine, from a reading or an event to what is to be done. Pure, but for its own state.

`tick` is the whole journey, top to bottom; `happened` is the short way for what cannot wait for the next sample. One
invariant: the same inputs in the same order give the same effects.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from homeostat import detection
from homeostat.budget import PastRun
from homeostat.decision import Reason
from homeostat.detection import Closed, Detection, Opened, Track
from homeostat.diagnosis import FaultClass, Hypothesis, rank
from homeostat.evidence import Anomaly, Evidence, Signal
from homeostat.exception_pack import Grant
from homeostat.features import extract
from homeostat.incident import Incident
from homeostat.outcome import Ending, Outcome
from homeostat.plan import Plan
from homeostat.policy import NO_POLICY, Policy
from homeostat.policy_merge import effective
from homeostat.sample import Window
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider import checks, health
from homeostat_agent.decider.care import Care, Moment
from homeostat_agent.decider.caseload import Caseload
from homeostat_agent.decider.checks import Findings
from homeostat_agent.decider.effects import Effect, Effects, RecordClosed, RecordNotice, RecordOpened
from homeostat_agent.decider.health import Health, Hindrance
from homeostat_agent.decider.remembered import PastRuns
from homeostat_agent.decider.scoring import Scorer
from homeostat_agent.decider.sensing.port import Reading
from homeostat_agent.decider.watching.events import FileChanged, WatchEvent

# Features look at the newest sample; the others are kept for what will look further back: a minute at 5 s.
WINDOW_SAMPLES_MAX = 12
# File events between two samples; the oldest give way.
EVENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who this is: its id to the controller, and the labels that policies select it by."""

    id: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restored:
    """What the decider before knew: its open incidents, and the runs that budgets count."""

    cases: tuple[Care, ...] = ()
    past: Mapping[str, PastRun] = field(default_factory=dict)


class Pipeline:
    """The state between readings, and the steps. One thread owns it; `new_id` gives names that no other thing has."""

    def __init__(
        self, config: AgentConfig, endpoint: Endpoint, new_id: Callable[[], str], restored: Restored | None = None
    ) -> None:
        restored = restored or Restored()
        self.endpoint = endpoint
        self.policy: Policy = NO_POLICY
        self.scorer: Scorer | None = None
        self.hindrances: dict[Hindrance, str] = {}
        self.anomaly: Anomaly | None = None
        self._config = config
        self._new_id = new_id
        self._window = Window(WINDOW_SAMPLES_MAX)
        self._findings = Findings()
        self._events: deque[WatchEvent] = deque(maxlen=EVENTS_MAX)
        self._cases = Caseload(restored.cases, PastRuns(restored.past))
        opened = [(one.incident.fault, one.incident.subject) for one in restored.cases]
        self._detection = Detection({key: Track(held=1, open=True) for key in opened})

    @property
    def cases(self) -> tuple[Care, ...]:
        """The open incidents."""
        return self._cases.cases

    @property
    def health(self) -> Health:
        """How the endpoint is."""
        return health.judge(self._cases.cases, self.hindrances)

    # The journey.

    def tick(self, reading: Reading, now: datetime) -> Effects:
        """Take one reading through the whole journey; `now` is aware and in the endpoint's own zone."""
        moment = self._moment(now)
        self._window = self._window.add(reading.sample)
        self.anomaly = self._score()
        events, self._events = self._events, deque(maxlen=EVENTS_MAX)
        self._findings, signals = checks.update(self._findings, reading, events, self._config, moment.policy)
        hypotheses = self._hypotheses(signals)
        alarm = moment.policy.threshold("alarm_p_value")
        self._detection, changes = detection.update(self._detection, hypotheses, self.anomaly, alarm)
        effects: list[Effect] = []
        for change in changes:
            effects += self._opened(change, now) if isinstance(change, Opened) else self._closed(change, now)
        self._cases.confirm((one.fault, one.subject) for one in hypotheses)
        return (*effects, *self._cases.review(moment))

    def happened(self, event: WatchEvent, now: datetime) -> Effects:
        """Take one event between two samples: what is certain becomes an incident and is decided at once."""
        if isinstance(event, FileChanged):
            self._events.append(event)
        effects: list[Effect] = []
        for hypothesis in self._hypotheses(checks.of_event(event)):
            self._detection, opened = detection.open_now(hypothesis, self.anomaly, self._detection)
            if opened is not None:
                effects += self._opened(opened, now)
                effects += self._cases.review(self._moment(now), (opened.fault, opened.subject))
        return tuple(effects)

    # What comes back from the actuator.

    def ended(self, outcome: Outcome, now: datetime) -> Effects:
        """Take a run's outcome; the next repair, if one waits, begins with it."""
        lost = None if self._cases.knows(outcome) else self._lost_incident(outcome)
        effects, healed = self._cases.ended(outcome, now)
        if healed is not None:
            self._detection = detection.forget(self._detection, *healed)
        if lost is not None:
            how = "healed" if outcome.ending is Ending.HEALED else "superseded"
            effects = (RecordOpened(lost), *effects, RecordClosed(lost, now, how))
        return (*effects, *self._cases.review(self._moment(now)))

    def refused(self, run_id: str, reason: Reason | str, now: datetime) -> Effects:
        """Take the actuator's no to a run; a `Reason` where it names a limit of the policy, else a sentence."""
        effects = self._cases.refused(run_id, reason, self._moment(now))
        return (*effects, *self._cases.review(self._moment(now)))

    def progressed(self, run_id: str) -> Effects:
        """Take a sign of life of a run."""
        return self._cases.progress(run_id)

    def proposed(self, pack_id: str, found: Plan | str, now: datetime) -> Effects:
        """Take the plan that would be carried out, or a sentence why there is none."""
        return self._cases.proposed(pack_id, found, self._moment(now))

    def caught_up(self, unfinished: frozenset[str], now: datetime) -> Effects:
        """The actuator has told all it knows, and has the policy; `unfinished` are the runs that go on there."""
        effects = self._cases.lose_run(unfinished)
        return (*effects, *self.able_again(Hindrance.ACTUATOR, now))

    # What comes from the controller.

    def granted(self, grant: Grant, signed: bytes, now: datetime) -> Effects:
        """Take a person's yes; `signed` is the serialized Signed, which the actuator verifies."""
        return (*self._cases.granted(grant, signed, now), *self._cases.review(self._moment(now)))

    def denied(self, pack_id: str, by: str, reason: str) -> Effects:
        """Take a person's no."""
        return self._cases.denied(pack_id, by, reason, self.policy.revision)

    def use_policy(self, policy: Policy, now: datetime) -> Effects:
        """Decide by this policy from now on."""
        if (policy.name, policy.revision) != (self.policy.name, self.policy.revision):
            self._cases.policy_changed(policy)
        self.policy = policy
        return self.able_again(Hindrance.POLICY, now)

    # What keeps the agent from acting.

    def hinder(self, hindrance: Hindrance, sentence: str, now: datetime) -> Effects:
        """Only observe from now on, and say so once."""
        known, self.hindrances[hindrance] = self.hindrances.get(hindrance), sentence
        return () if known is not None else (RecordNotice(f"observing-{hindrance}", sentence, now),)

    def able_again(self, hindrance: Hindrance, now: datetime) -> Effects:
        """What kept the agent from acting is over."""
        self.hindrances.pop(hindrance, None)
        return self._cases.review(self._moment(now))

    def _moment(self, now: datetime) -> Moment:
        policy = effective(self.policy, self.endpoint.labels, now)
        return Moment(now, policy, self._cases.history, self._new_id, able=not self.hindrances)

    def _score(self) -> Anomaly | None:
        if self.scorer is None:
            return None
        # While anything is wrong nothing is learnt, or the fault would become usual.
        return self.scorer.score(extract(self._window), learn=not self._cases.cases)

    def _hypotheses(self, signals: Iterable[Signal]) -> tuple[Hypothesis, ...]:
        """Rank what the signals speak for, without what a repair does itself."""
        found = rank(signals)
        return tuple(one for one in found if not self._is_own_doing(one))

    def _is_own_doing(self, one: Hypothesis) -> bool:
        return self._cases.masks((one.fault, one.subject), max(signal.at for signal in one.signals))

    def _opened(self, opened: Opened, now: datetime) -> Effects:
        incident = Incident(
            id=self._new_id(),
            endpoint_id=self.endpoint.id,
            fault=opened.fault,
            subject=opened.subject,
            confidence=opened.confidence,
            opened_at=now,
            evidence=opened.evidence,
            labels=self.endpoint.labels,
        )
        effects = self._cases.open(incident, now)
        if not self._cases.has((opened.fault, opened.subject)):
            # There was no room: not seen yet, so that it is found again.
            self._detection = detection.forget(self._detection, opened.fault, opened.subject)
        return effects

    def _lost_incident(self, outcome: Outcome) -> Incident:
        """Return what is left of an incident that was being repaired while its record was lost.

        The decider was killed between asking for the repair and the disk, some milliseconds, or its store was lost.
        """
        return Incident(
            id=outcome.incident_id,
            endpoint_id=self.endpoint.id,
            fault=FaultClass.UNEXPLAINED,
            subject=outcome.subject,
            confidence=0.0,
            opened_at=outcome.started_at,
            evidence=Evidence(),
            labels=self.endpoint.labels,
        )

    def _closed(self, closed: Closed, now: datetime) -> Effects:
        return self._cases.close((closed.fault, closed.subject), now)
