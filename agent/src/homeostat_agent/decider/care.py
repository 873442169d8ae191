"""What happens to one open incident: decided, proposed, waiting for a person, waiting for its turn, being repaired.

Pure: each function takes a care and the moment and returns the next care with what is to be done. One invariant: an
incident is asked about or repaired only by what was decided at that moment, never by an older decision.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from homeostat.budget import History, PastRun
from homeostat.decision import Act, Ask, Decision, DecisionRecord, Escalate, Reason, ReasonCode, Shadow, decide
from homeostat.exception_pack import ExceptionPack
from homeostat.incident import Incident
from homeostat.outcome import Ending, Outcome
from homeostat.plan import Plan
from homeostat.policy import Policy
from homeostat_agent.decider.effects import (
    Effects,
    RecordClosed,
    RecordDecision,
    RecordPack,
    RecordRun,
    RequestProposal,
    RunAsked,
    StartHealing,
)

# How long a person has to answer: over a night, and over most of a day off.
PACK_LIFETIME = timedelta(hours=24)
# An answer that has not come by then is asked for again: a pre-check is bounded by 30 s.
PROPOSAL_WITHIN = timedelta(seconds=60)
# After a repair was refused or could not be proposed: the pause before the next try, doubled each time.
HOLD_FIRST = timedelta(seconds=30)
HOLD_MAX = timedelta(minutes=30)
# Limits that a person's yes can lift; when the actuator names one of them, a person is asked.
_LIFTABLE = frozenset(
    {
        ReasonCode.CONFIDENCE,
        ReasonCode.RISK,
        ReasonCode.RULE_BUDGET,
        ReasonCode.ACTION_BUDGET,
        ReasonCode.ERROR_BUDGET,
        ReasonCode.REPEATS,
        ReasonCode.QUIET_HOURS,
        ReasonCode.LEVEL,
    }
)


class Phase(StrEnum):
    """Where the care of an incident is."""

    DECIDED = "decided"
    PROPOSING = "proposing"
    WAITING = "waiting"
    QUEUED = "queued"
    HEALING = "healing"
    SET_ASIDE = "set-aside"


@dataclass(frozen=True, slots=True)
class Moment:
    """What every step goes by. `policy` is the effective one; `able` says whether the actuator may be asked at all."""

    now: datetime
    policy: Policy
    history: History
    new_id: Callable[[], str]
    able: bool = True


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause; a clock that was set back ends it."""

    since: datetime
    until: datetime

    def covers(self, now: datetime) -> bool:
        """Say whether the pause lasts."""
        return self.since <= now < self.until


@dataclass(frozen=True, slots=True)
class Care:
    """One open incident and what is being done about it.

    `decision` is what decide() said last; `overruled` is what the actuator made of it, and counts while `hold` lasts.
    `confirmed`: its evidence is newer than the last repair of its subject. `recovered`: the evidence went away while a
    run goes on. `denied` is the revision of the policy under which a person said no.
    """

    incident: Incident
    phase: Phase = Phase.DECIDED
    decision: Decision | None = None
    overruled: Ask | Escalate | None = None
    hold: Hold | None = None
    refusals: int = 0
    run: RunAsked | None = None
    asked: tuple[str, str, datetime] | None = None
    pack: ExceptionPack | None = None
    grant: bytes = b""
    confirmed: bool = True
    recovered: bool = False
    denied: int | None = None


Step = tuple[Care, Effects]


def review(care: Care, moment: Moment) -> Step:
    """Decide again, and go where that leads; a run that goes on and a grant that waits for its turn stay."""
    if care.phase in (Phase.HEALING, Phase.SET_ASIDE) or care.grant:
        return care, ()
    decision = decide(care.incident, moment.policy, moment.history, moment.now)
    said = () if _alike(decision, care.decision) else (_recorded(care, decision, moment),)
    care = replace(care, decision=decision)
    if care.hold is not None and care.hold.covers(moment.now):
        return _in_hold(care, said, moment)
    care, wanted = _pursue(replace(care, hold=None), decision, moment)
    return care, (*said, *wanted)


def under_new_policy(care: Care, policy: Policy) -> Care:
    """Forget what rested on the policy before: pauses, and a pack that does not name this one."""
    if care.phase in (Phase.HEALING, Phase.SET_ASIDE) or care.grant:
        return care
    pack = care.pack
    if pack is not None and (pack.policy, pack.policy_revision) == (policy.name, policy.revision):
        return care  # the decider was restarted, and has just found its policy again
    return replace(care, phase=Phase.DECIDED, hold=None, overruled=None, refusals=0, pack=None, asked=None)


def start(care: Care, moment: Moment) -> Step:
    """Begin the repair that was decided, or that a person has allowed."""
    playbook, rule = _chosen(care)
    run_id, incident = moment.new_id(), care.incident
    past = PastRun(playbook, incident.subject, incident.fault, rule, moment.now, approved=bool(care.grant))
    pack_id = care.pack.id if care.pack is not None and care.grant else ""
    run = RunAsked(run_id, incident.id, past, pack_id)
    care = replace(care, phase=Phase.HEALING, run=run, recovered=False)
    return care, (RecordRun(run), StartHealing(run_id, incident, playbook, care.grant))


def proposed(care: Care, found: Plan | str, moment: Moment) -> Step:
    """Take the actuator's proposal: a plan becomes an exception pack, a refusal (a sentence) a pause."""
    assert care.asked is not None  # noqa: S101  # the caller found the care by it
    pack_id, playbook, _ = care.asked
    ask = care.decision if isinstance(care.decision, Ask) else care.overruled
    if not isinstance(ask, Ask) or ask.playbook != playbook:
        return replace(care, phase=Phase.DECIDED, asked=None), ()
    if isinstance(found, str):
        sentence = f"{playbook} cannot be proposed: {found}"
        return _overrule(care, Escalate(Reason(ReasonCode.NO_PLAYBOOK, ask.reason.rule, sentence)), moment)
    spec = moment.policy.playbooks[playbook].spec
    pack = ExceptionPack(
        id=pack_id,
        incident=care.incident,
        decision=ask,
        policy=moment.policy.name,
        policy_revision=moment.policy.revision,
        risk=spec.risk,
        plan=found,
        undo=spec.undo,
        created_at=moment.now,
        expires_at=moment.now + PACK_LIFETIME,
    )
    return replace(care, phase=Phase.WAITING, asked=None, pack=pack, refusals=0), (RecordPack(pack),)


def refused(care: Care, reason: Reason | str, moment: Moment) -> Step:
    """Take the actuator's no to a run: ask a person where a person can lift it, else pause and try again."""
    approved, decision = bool(care.grant), care.decision
    care = replace(care, phase=Phase.DECIDED, run=None, grant=b"", pack=None if approved else care.pack)
    if approved:
        # What was approved is void. The endpoint has changed since, perhaps for the better: look before asking again.
        return replace(care, hold=None, overruled=None, confirmed=False), ()
    if isinstance(reason, Reason) and reason.code in _LIFTABLE and isinstance(decision, Act):
        care, said = _overrule(care, Ask(decision.playbook, reason), moment)
        care, asked = _ask(care, decision.playbook, moment)
        return care, (*said, *asked)
    return _pause(care, moment.now), ()


def ended(care: Care, outcome: Outcome, now: datetime) -> tuple[Care | None, Effects]:
    """Take a run's outcome; None when the incident is over with it."""
    if outcome.ending is Ending.HEALED:
        return None, (RecordClosed(care.incident, now, "healed"),)
    if care.recovered:
        return None, (RecordClosed(care.incident, now, "recovered"),)
    care = replace(care, phase=Phase.DECIDED, run=None, grant=b"", pack=None, confirmed=False)
    if outcome.ending is Ending.REFUSED:
        return _pause(care, now), ()
    return replace(care, hold=None, overruled=None, refusals=0), ()


def denied(care: Care, revision: int) -> Care:
    """Take a person's no: nothing more is done about this incident while the same policy holds."""
    return replace(care, phase=Phase.DECIDED, pack=None, asked=None, denied=revision)


def _pursue(care: Care, decision: Decision, moment: Moment) -> Step:
    if care.denied == moment.policy.revision:
        return replace(care, phase=Phase.DECIDED), ()
    match decision:
        case Act():
            return replace(care, phase=Phase.QUEUED, asked=None), ()
        case Ask(playbook):
            return _ask(care, playbook, moment)
        case _:
            return replace(care, phase=Phase.DECIDED, asked=None, pack=None), ()


def _in_hold(care: Care, said: Effects, moment: Moment) -> Step:
    """Keep asking a person while the actuator's own limit stands."""
    if not isinstance(care.overruled, Ask):
        return replace(care, phase=Phase.DECIDED), said
    care, asked = _ask(care, care.overruled.playbook, moment)
    return care, (*said, *asked)


def _ask(care: Care, playbook: str, moment: Moment) -> Step:
    pack, now = care.pack, moment.now
    if pack is not None and pack.decision.playbook == playbook and now < pack.expires_at:
        return replace(care, phase=Phase.WAITING, asked=None), ()
    care = replace(care, pack=None)
    if not (moment.able and care.confirmed):
        return replace(care, phase=Phase.DECIDED, asked=None), ()
    if care.phase is Phase.PROPOSING and care.asked is not None:
        pack_id, asked_for, at = care.asked
        if asked_for == playbook and at <= now < at + PROPOSAL_WITHIN:
            return care, ()
    pack_id = moment.new_id()
    asking = replace(care, phase=Phase.PROPOSING, asked=(pack_id, playbook, now))
    return asking, (RequestProposal(pack_id, care.incident, playbook),)


def _overrule(care: Care, decision: Ask | Escalate, moment: Moment) -> Step:
    said = () if _alike(decision, care.overruled) else (_recorded(care, decision, moment),)
    care = _pause(replace(care, overruled=decision, phase=Phase.DECIDED, asked=None), moment.now)
    return care, said


def _pause(care: Care, now: datetime) -> Care:
    # The exponent is bounded too: refusals may go on for weeks.
    pause = min(HOLD_FIRST * 2 ** min(care.refusals, 16), HOLD_MAX)
    return replace(care, phase=Phase.DECIDED, refusals=care.refusals + 1, hold=Hold(now, now + pause))


def _chosen(care: Care) -> tuple[str, str]:
    """Return the playbook and the rule of the repair that is to begin."""
    if care.grant and care.pack is not None:
        return care.pack.decision.playbook, care.pack.decision.reason.rule
    assert isinstance(care.decision, Act)  # noqa: S101  # nothing else is queued
    return care.decision.playbook, care.decision.reason.rule


def _recorded(care: Care, decision: Decision, moment: Moment) -> RecordDecision:
    policy = moment.policy
    return RecordDecision(DecisionRecord(care.incident.id, moment.now, decision, policy.name, policy.revision))


def _alike(one: Decision | None, other: Decision | None) -> bool:
    """Say whether two decisions are the same but for the numbers in their sentences."""
    return _key(one) == _key(other)


def _key(decision: Decision | None) -> tuple[object, ...]:
    match decision:
        case Act(playbook, reason) | Ask(playbook, reason):
            return type(decision), playbook, reason.code, reason.rule
        case Shadow(would, reason):
            return Shadow, _key(would), reason.code, reason.rule
        case None:
            return ()
        case _:
            return type(decision), decision.reason.code, decision.reason.rule
