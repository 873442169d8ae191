"""Generated domain values: incidents, histories, policies that pass the check, and policies that may not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from string import ascii_lowercase

from hypothesis import strategies as st

from homeostat.budget import History, PastRun
from homeostat.catalogue import ACTIONS, THRESHOLDS, Risk
from homeostat.decision import (
    Act,
    Ask,
    DecisionRecord,
    Escalate,
    Observe,
    Reason,
    ReasonCode,
    Shadow,
)
from homeostat.diagnosis import FaultClass
from homeostat.evidence import Anomaly, Attribution, Evidence, Signal, SignalKind
from homeostat.exception_pack import ExceptionPack, Grant
from homeostat.incident import Incident
from homeostat.outcome import Ending, Outcome, RunStep
from homeostat.plan import EndProcess, Plan, RemoveFile, RestartService, RestoreFile, StartService, StopService
from homeostat.playbook import Playbook
from homeostat.policy import (
    Budget,
    Delegation,
    Level,
    Limits,
    Policy,
    QuietHours,
    Rule,
    Selector,
    Threshold,
    Waiver,
)
from homeostat.policy_check import check
from homeostat.subject import Subject, SubjectKind

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)

# Few of each, so that generated values meet.
NAMES = ("restart", "clean-up", "end.it", "night", "a", "b")
# Without what no rule may delegate.
DIRECT_FAULTS = tuple(fault for fault in FaultClass if fault is not FaultClass.UNEXPLAINED)
names = st.sampled_from(NAMES)
words = st.text(ascii_lowercase, min_size=1, max_size=8)
# What protobuf can carry: no lone surrogates.
texts = st.text(st.characters(codec="utf-8"), max_size=20)
filled = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
shares = st.floats(0, 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
zones = st.sampled_from((UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=9, minutes=30))))
moments = st.datetimes(datetime(2029, 12, 1), datetime(2030, 2, 28), timezones=zones)  # noqa: DTZ001  # zones are drawn
subjects = st.builds(Subject, st.sampled_from(SubjectKind), st.sampled_from(("web", "db", "self")))
durations = st.timedeltas(timedelta(), timedelta(days=40))

signals = st.builds(
    Signal, st.sampled_from(SignalKind), subjects, moments, value=numbers, limit=numbers, unit=texts, detail=texts
)
attributions = st.builds(Attribution, filled, shares, numbers, numbers)
anomalies = st.builds(Anomaly, shares, shares, st.lists(attributions, max_size=2).map(tuple), texts)
evidence = st.builds(Evidence, st.lists(signals, max_size=3).map(tuple), st.none() | anomalies)
incidents = st.builds(
    Incident,
    id=words,
    endpoint_id=words,
    fault=st.sampled_from(FaultClass),
    subject=subjects,
    confidence=shares,
    opened_at=moments,
    evidence=evidence,
    labels=st.dictionaries(st.sampled_from(("env", "role")), st.sampled_from(("prod", "web")), max_size=2),
    closed_at=st.none() | moments,
)

runs = st.builds(
    PastRun,
    playbook=names,
    subject=subjects,
    fault=st.sampled_from(FaultClass),
    rule=names,
    started_at=moments,
    ending=st.none() | st.sampled_from(Ending),
    approved=st.booleans(),
)
histories = st.builds(History, st.lists(runs, max_size=12).map(tuple))

selectors = st.builds(
    Selector,
    st.dictionaries(
        st.sampled_from(("env", "role")),
        st.lists(st.sampled_from(("prod", "web", "test")), min_size=1, max_size=2, unique=True).map(tuple),
        max_size=2,
    ),
)
# Most policies are for all endpoints, and most rules for all of the policy's.
some_selectors = st.one_of(st.just(Selector()), st.just(Selector()), selectors)
budgets = st.builds(Budget, st.integers(1, 9), st.timedeltas(timedelta(seconds=1), timedelta(days=31)))
delegations = st.builds(
    Delegation,
    st.sampled_from(sorted(Level, reverse=True)),
    st.just(0.0) | shares,
    st.sampled_from(sorted(Risk, reverse=True)),
    st.none() | budgets,
    st.one_of(st.just(()), st.lists(names, max_size=2, unique=True).map(tuple)),
)
patterns = st.sampled_from(("*", "service:*", "service:web", "folder:*", "process:?b", "[sf]*:[!a]*", "endpoint:*"))
rules = st.builds(
    Rule,
    name=names,
    faults=st.frozensets(st.sampled_from(DIRECT_FAULTS), min_size=1, max_size=4),
    subjects=st.one_of(st.just(("*",)), st.lists(patterns, min_size=1, max_size=3, unique=True).map(tuple)),
    playbooks=st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    delegation=delegations,
    selector=some_selectors,
)


@st.composite
def playbooks(draw: st.DrawFn, name: str) -> Playbook:
    spec = ACTIONS[draw(st.sampled_from(sorted(ACTIONS)))]
    chosen = draw(st.lists(st.sampled_from(spec.parameters), max_size=2)) if spec.parameters else []
    return Playbook(
        name,
        spec.name,
        parameters={one.name: draw(st.floats(one.least, one.most)) for one in chosen},
        settle=draw(st.timedeltas(timedelta(), timedelta(minutes=30))),
        verify_within=draw(st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=30))),
        verifier=draw(st.sampled_from(("", spec.verifier))),
    )


@st.composite
def quiet_hours(draw: st.DrawFn, name: str) -> QuietHours:
    return QuietHours(
        name,
        draw(st.integers(0, 1439)),
        draw(st.integers(0, 1440)),
        draw(st.frozensets(st.integers(1, 7), max_size=3)),
    )


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    spec = draw(st.sampled_from(sorted(THRESHOLDS.values(), key=lambda one: one.name)))
    least, value, most = sorted(draw(st.lists(st.floats(spec.least, spec.most), min_size=3, max_size=3)))
    return Threshold(spec.name, value, least, most) if draw(st.booleans()) else Threshold(spec.name, value)


@st.composite
def waivers(draw: st.DrawFn, known: tuple[str, ...] = NAMES) -> Waiver:
    return Waiver(
        name=draw(names),
        owner=draw(words),
        reason=draw(words),
        rules=tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))),
        level=draw(st.sampled_from(Level)),
        expires_at=draw(moments),
        selector=draw(selectors),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Policies of well-formed values; many fail the check because of how the values fit together."""
    chosen = tuple(draw(st.lists(rules, min_size=1, max_size=4, unique_by=lambda one: one.name)))
    known = tuple(one.name for one in chosen)
    return Policy(
        name=draw(names),
        revision=draw(st.integers(0, 2**40)),
        description=draw(st.text(ascii_lowercase + " :#'\n\"-é", max_size=30)),
        selector=draw(some_selectors),
        priority=draw(st.integers(-1000, 1000)),
        playbooks={name: draw(playbooks(name)) for name in NAMES},
        rules=chosen,
        limits=Limits(draw(budgets), draw(budgets), draw(budgets)),
        quiet_hours={name: draw(quiet_hours(name)) for name in NAMES},
        thresholds={one.name: one for one in draw(st.lists(thresholds(), max_size=2))},
        waivers=tuple(draw(st.lists(waivers(known), max_size=2, unique_by=lambda one: one.name))) if known else (),
        not_after=draw(st.none() | moments),
    )


@st.composite
def accepted_policies(draw: st.DrawFn) -> Policy:
    """Policies that pass the check: what has a problem is left out until nothing has."""
    policy = draw(policies())
    while problems := check(policy):
        spoiled = {one.path[:2] for one in problems}
        waivers_left = (one for at, one in enumerate(policy.waivers) if ("waivers", at) not in spoiled)
        rules_left = tuple(one for at, one in enumerate(policy.rules) if ("rules", at) not in spoiled)
        policy = replace(policy, rules=rules_left, waivers=tuple(waivers_left))
    return policy


@st.composite
def cases(draw: st.DrawFn) -> tuple[Incident, Policy, History]:
    """An accepted policy, an incident that one of its rules is about, and runs that may count against it."""
    policy, incident = draw(accepted_policies()), draw(incidents)
    if not policy.rules or draw(st.integers(0, 9)) == 9:
        return incident, policy, draw(histories)
    meant: Rule = draw(st.sampled_from(policy.rules))
    kinds = [policy.playbooks[name].spec.subject_kind for name in meant.playbooks] or list(SubjectKind)
    incident = replace(
        incident,
        fault=draw(st.sampled_from(sorted(meant.faults))),
        subject=Subject(draw(st.sampled_from(kinds)), draw(st.sampled_from(("web", "db")))),
        evidence=Evidence((draw(signals),)),
        labels={key: values[0] for key, values in {**policy.selector.matches, **meant.selector.matches}.items()},
    )
    like = st.builds(
        PastRun,
        playbook=st.sampled_from(meant.playbooks or NAMES),
        subject=st.just(incident.subject),
        fault=st.just(incident.fault),
        rule=st.just(meant.name),
        started_at=moments,
        ending=st.none() | st.sampled_from(Ending),
    )
    return incident, policy, History(tuple(draw(st.lists(st.one_of(like, runs), max_size=8))))


reasons = st.builds(Reason, st.sampled_from(ReasonCode), texts, filled)
acts = st.builds(Act, names, reasons)
asks = st.builds(Ask, names, reasons)
escalations = st.builds(Escalate, reasons)
decisions = st.one_of(
    acts,
    asks,
    escalations,
    st.builds(Observe, reasons),
    st.builds(Shadow, st.one_of(acts, asks, escalations), reasons),
)
decision_records = st.builds(DecisionRecord, words, moments, decisions, names, st.integers(0, 2**63 - 1))

services = st.sampled_from(("web", "db"))
steps = st.one_of(
    st.builds(StartService, services),
    st.builds(StopService, services),
    st.builds(RestartService, services),
    st.builds(EndProcess, st.integers(2, 2**32 - 1), st.integers(0, 2**64 - 1), st.floats(0, 1e6)),
    st.builds(RemoveFile, words, filled, st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1), st.booleans()),
    st.builds(RestoreFile, words, filled),
)
plans = st.builds(
    Plan,
    st.lists(steps, max_size=3).map(tuple),
    st.lists(steps, max_size=3).map(tuple),
    st.binary(min_size=32, max_size=32),
    texts,
    st.lists(texts, max_size=2).map(tuple),
)
run_steps = st.builds(RunStep, words, moments, texts)
outcomes = st.builds(
    Outcome,
    words,
    words,
    names,
    words,
    subjects,
    st.sampled_from(Ending),
    texts,
    moments,
    moments,
    st.lists(run_steps, max_size=3).map(tuple),
    texts,
    st.integers(0, 9),
)
packs = st.builds(
    ExceptionPack,
    words,
    incidents,
    asks,
    names,
    st.integers(0, 2**40),
    st.sampled_from(Risk),
    plans,
    texts,
    moments,
    moments,
)
sha256s = st.binary(min_size=32, max_size=32)
grants = st.builds(
    Grant,
    words,
    words,
    words,
    names,
    sha256s,
    sha256s,
    st.integers(0, 2**40),
    filled,
    moments,
    st.binary(min_size=1, max_size=16),
)
