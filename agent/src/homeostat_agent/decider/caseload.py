"""All open incidents and the one healing run: who is next, and what comes back from actuator and controller.

One invariant: at most one run is asked for at a time, and a repair never rests on evidence that is older than the last
repair of the same subject.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from homeostat.budget import History
from homeostat.decision import Reason
from homeostat.diagnosis import FaultClass
from homeostat.exception_pack import Grant
from homeostat.incident import Incident
from homeostat.outcome import Ending, Outcome
from homeostat.plan import Plan
from homeostat.policy import Policy
from homeostat.subject import Subject
from homeostat_agent.decider import care as caring
from homeostat_agent.decider.care import Care, Moment, Phase
from homeostat_agent.decider.effects import (
    ConfirmOutcome,
    Effect,
    Effects,
    ForgetRun,
    RecordClosed,
    RecordDenial,
    RecordNotice,
    RecordOpened,
    RecordOutcome,
)
from homeostat_agent.decider.remembered import PastRuns, Receipts

Key = tuple[FaultClass, Subject]

OPEN_MAX = 100
QUEUE_MAX = 32
# Readings and events reach the pipeline within this time.
OWN_DOING_MAX = timedelta(seconds=60)
_NOT_WAITING = "No such pack waits here any more."
# What hurts people first is repaired first; what is not here comes last.
URGENCY: Mapping[FaultClass, int] = MappingProxyType(
    {
        fault: place
        for place, fault in enumerate(
            (
                FaultClass.SERVICE_DOWN,
                FaultClass.SERVICE_HUNG,
                FaultClass.DISK_FULL,
                FaultClass.INODES_EXHAUSTED,
                FaultClass.MEMORY_PRESSURE,
                FaultClass.MEMORY_LEAK,
                FaultClass.RUNAWAY_CPU,
                FaultClass.DESCRIPTORS_EXHAUSTED,
            )
        )
    }
)


class Caseload:
    """The open incidents. Every call returns what is to be done; the caller gives the time with it."""

    def __init__(self, cases: Iterable[Care] = (), past: PastRuns | None = None) -> None:
        self._cases: dict[Key, Care] = {}
        for care in cases:
            self._put(care)
        self._past = past or PastRuns()
        self._repaired: dict[Subject, datetime] = {}
        self._receipts = Receipts()
        self._is_full_said = False

    @property
    def cases(self) -> tuple[Care, ...]:
        """The open incidents' cares, in the order they came."""
        return tuple(self._cases.values())

    @property
    def history(self) -> History:
        """The runs that budgets count."""
        return self._past.history

    @property
    def healing(self) -> Care | None:
        """The incident that is being repaired."""
        return next((one for one in self._cases.values() if one.phase is Phase.HEALING), None)

    def masks(self, key: Key, at: datetime) -> bool:
        """Say whether evidence of that time is the repair's own doing, such as the end of a process it ended."""
        subject, healing = key[1], self.healing
        repaired = self._repaired.get(subject)
        # The bound is for a clock that was set back meanwhile.
        if repaired is not None and timedelta() <= repaired - at < OWN_DOING_MAX:
            return True
        if healing is None or healing.incident.subject != subject:
            return False
        return key[0] is not healing.incident.fault

    def has(self, key: Key) -> bool:
        """Say whether this fault of this subject has an open incident."""
        return key in self._cases

    def open(self, incident: Incident, now: datetime) -> Effects:
        """Take a new incident in. At OPEN_MAX none is: that is said once, and the caller has to forget it."""
        key = (incident.fault, incident.subject)
        if key in self._cases:
            self._cases[key] = replace(self._cases[key], recovered=False)
            return ()
        if len(self._cases) >= OPEN_MAX:
            sentence = f"{OPEN_MAX} incidents are open; no further one is taken in."
            effects = () if self._is_full_said else (RecordNotice("too-many-incidents", sentence, now),)
            self._is_full_said = True
            return effects
        self._cases[key] = Care(incident)
        return (RecordOpened(incident),)

    def confirm(self, keys: Iterable[Key]) -> None:
        """Note which faults the newest sample shows."""
        for key in keys:
            if key in self._cases:
                self._cases[key] = replace(self._cases[key], confirmed=True, recovered=False)

    def close(self, key: Key, now: datetime) -> Effects:
        """The evidence has gone: the incident is over, unless a run goes on, whose outcome will say so."""
        care = self._cases.get(key)
        if care is None:
            return ()
        if care.phase is Phase.HEALING:
            self._cases[key] = replace(care, recovered=True)
            return ()
        del self._cases[key]
        self._is_full_said = False
        closed = RecordClosed(care.incident, now, "recovered")
        if care.grant and care.pack is not None:
            return (closed, self._receipts.answer(care.pack.id, "refused", "The incident is over."))
        return (closed,)

    def review(self, moment: Moment, only: Key | None = None) -> Effects:
        """Decide about each incident again, or about one; then begin the most urgent repair if none goes on."""
        effects: list[Effect] = []
        for key in [only] if only is not None else list(self._cases):
            effects += self._step(key, lambda care: caring.review(care, moment), moment.now)
        for care in self._queue()[QUEUE_MAX:]:
            self._put(replace(care, phase=Phase.DECIDED))
        return (*effects, *self._next(moment))

    def policy_changed(self, policy: Policy) -> None:
        """Let every incident be looked at anew under another policy."""
        self._cases = {key: caring.under_new_policy(care, policy) for key, care in self._cases.items()}

    def knows(self, outcome: Outcome) -> bool:
        """Say whether anything is remembered of the run or its incident."""
        return self._past.has(outcome.run_id) or any(
            one.incident.id == outcome.incident_id for one in self._cases.values()
        )

    def ended(self, outcome: Outcome, now: datetime) -> tuple[Effects, Key | None]:
        """Take an outcome, once; return what to do, and which fault was healed."""
        if self._past.has_ended(outcome.run_id):
            return (ConfirmOutcome(outcome.run_id),), None
        self._repaired[outcome.subject] = now
        self._past.ended(outcome)
        effects: list[Effect] = [RecordOutcome(outcome)]
        care = self._of_run(outcome)
        if care is not None:
            after, more = caring.ended(care, outcome, now)
            self._take_off(care) if after is None else self._put(after)
            effects += more
        self._doubt(outcome.subject)
        effects.append(ConfirmOutcome(outcome.run_id))
        if outcome.pack_id and self._receipts.get(outcome.pack_id) is None:
            effects.append(self._receipts.answer(outcome.pack_id, "accepted"))
        healed = care is not None and outcome.ending is Ending.HEALED
        return tuple(effects), (care.incident.fault, care.incident.subject) if care and healed else None

    def progress(self, run_id: str) -> Effects:
        """Take a sign that the run has begun: an approval it rests on was accepted."""
        care = self.healing
        if care is None or care.run is None or care.run.run_id != run_id or not care.run.pack_id:
            return ()
        said = self._receipts.get(care.run.pack_id)
        return () if said is not None else (self._receipts.answer(care.run.pack_id, "accepted"),)

    def refused(self, run_id: str, reason: Reason | str, moment: Moment) -> Effects:
        """Take the actuator's no to a run."""
        care = self.healing
        if care is None or care.run is None or care.run.run_id != run_id:
            return ()
        self._past.forget(run_id)
        effects: list[Effect] = [ForgetRun(run_id)]
        if care.run.pack_id:
            sentence = reason if isinstance(reason, str) else reason.sentence
            effects.append(self._receipts.answer(care.run.pack_id, "refused", sentence))
        after, more = caring.refused(care, reason, moment)
        self._put(after)
        return (*effects, *more)

    def proposed(self, pack_id: str, found: Plan | str, moment: Moment) -> Effects:
        """Take the actuator's answer to a request for a proposal; one nobody asked for any more is dropped."""
        for key, care in self._cases.items():
            if care.phase is Phase.PROPOSING and care.asked is not None and care.asked[0] == pack_id:
                return self._step(key, lambda one: caring.proposed(one, found, moment), moment.now)
        return ()

    def granted(self, grant: Grant, signed: bytes, now: datetime) -> Effects:
        """Take a person's yes; it may come more than once. The actuator judges it, here only its place is looked up."""
        if (said := self._receipts.get(grant.pack_id)) is not None:
            return (said,)
        care = self._with_pack(grant.pack_id)
        if care is not None and care.run is not None and care.run.pack_id == grant.pack_id:
            return ()
        if care is None or care.pack is None or care.phase is Phase.HEALING:
            return (self._receipts.answer(grant.pack_id, "refused", _NOT_WAITING),)
        if now >= care.pack.expires_at:
            return (self._receipts.answer(grant.pack_id, "expired", "The pack had expired when the answer came."),)
        self._put(replace(care, phase=Phase.QUEUED, grant=signed, confirmed=True))
        return ()

    def denied(self, pack_id: str, by: str, reason: str, revision: int) -> Effects:
        """Take a person's no."""
        if (said := self._receipts.get(pack_id)) is not None:
            return (said,)
        care = self._with_pack(pack_id)
        if care is None or care.phase is Phase.HEALING:
            return (self._receipts.answer(pack_id, "refused", _NOT_WAITING),)
        self._put(caring.denied(care, revision))
        return (RecordDenial(care.incident, pack_id, by, reason), self._receipts.answer(pack_id, "accepted"))

    def lose_run(self, unfinished: frozenset[str]) -> Effects:
        """Give up the run that the actuator never heard of; called when it has told all it knows."""
        care = self.healing
        if care is None or care.run is None or care.run.run_id in unfinished:
            return ()
        self._past.forget(care.run.run_id)
        # An approval is still good: it is used up by a run that began, and none has.
        phase = Phase.QUEUED if care.grant else Phase.DECIDED
        self._put(replace(care, phase=phase, run=None, confirmed=bool(care.grant)))
        return (ForgetRun(care.run.run_id),)

    def _next(self, moment: Moment) -> Effects:
        if not moment.able or self.healing is not None:
            return ()
        for care in self._queue():
            if care.confirmed:
                begun, effects = caring.start(care, moment)
                self._put(begun)
                if begun.run is not None:
                    self._past.begun(begun.run.run_id, begun.run.past)
                return effects
        return ()

    def _queue(self) -> list[Care]:
        queued = [one for one in self._cases.values() if one.phase is Phase.QUEUED]
        return sorted(queued, key=_urgency)

    def _step(self, key: Key, step: Callable[[Care], caring.Step], now: datetime) -> Effects:
        """Take one step with one incident; whatever goes wrong sets aside this one and no other."""
        care = self._cases.get(key)
        if care is None:
            return ()
        try:
            after, effects = step(care)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others must go on
            self._cases[key] = replace(care, phase=Phase.SET_ASIDE)
            sentence = f"Incident {care.incident.id} is set aside: {type(error).__name__}: {error}"
            return (RecordNotice("incident-set-aside", sentence, now),)
        self._cases[key] = after
        return effects

    def _with_pack(self, pack_id: str) -> Care | None:
        return next((one for one in self._cases.values() if one.pack is not None and one.pack.id == pack_id), None)

    def _of_run(self, outcome: Outcome) -> Care | None:
        """Return the incident that an outcome is about, unless another run of it goes on meanwhile."""
        care = next((one for one in self._cases.values() if one.incident.id == outcome.incident_id), None)
        if care is None or (care.run is not None and care.run.run_id != outcome.run_id):
            return None
        return care

    def _doubt(self, subject: Subject) -> None:
        """What else was seen of a subject that has just been repaired may be over: look once more before acting."""
        for care in list(self._cases.values()):
            if care.incident.subject == subject:
                self._put(replace(care, confirmed=False))

    def _put(self, care: Care) -> None:
        self._cases[(care.incident.fault, care.incident.subject)] = care

    def _take_off(self, care: Care) -> None:
        del self._cases[(care.incident.fault, care.incident.subject)]
        self._is_full_said = False


def _urgency(care: Care) -> tuple[int, float, datetime]:
    incident = care.incident
    return URGENCY.get(incident.fault, len(URGENCY)), -incident.confidence, incident.opened_at
