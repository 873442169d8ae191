import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from domain_strategies import cases, moments
from domain_values import ACTING, CACHE, DOWN, NOW, POLICY, RULE, history, past
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.budget import History, PastRun
from homeostat.catalogue import Risk
from homeostat.decision import Act, Ask, Decision, Escalate, Observe, ReasonCode, Shadow, decide
from homeostat.diagnosis import FaultClass
from homeostat.evidence import Evidence
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.policy import Budget, Level, Limits, Policy, QuietHours, Rule
from homeostat.policy_check import check
from homeostat.policy_merge import effective
from homeostat.subject import Subject, SubjectKind
from homeostat.wire.incidents import incident_from_wire
from homeostat.wire.policies import policy_from_wire
from homeostat.wire.v1 import incident_pb2, policy_pb2

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "decisions").glob("*.json"))
LINES_MAX = 60


def with_rule(**changes: Any) -> Policy:
    return replace(POLICY, rules=(replace(RULE, **changes),))


def delegated(**changes: Any) -> Policy:
    return with_rule(delegation=replace(ACTING, **changes))


def settled(decision: Decision) -> tuple[type[Decision], str, ReasonCode]:
    playbook = decision.playbook if isinstance(decision, Act | Ask) else ""
    return type(decision), playbook, decision.reason.code


def test_it_acts_where_everything_is_delegated() -> None:
    decision = decide(DOWN, POLICY, History(), NOW)
    assert settled(decision) == (Act, "restart", ReasonCode.DELEGATED)
    assert decision.reason.rule == "restart-services"
    assert decision.reason.sentence == "Rule restart-services delegates restart on service:web."


def test_the_first_rule_that_covers_the_incident_counts() -> None:
    first = replace(RULE, name="first", delegation=replace(ACTING, level=Level.OBSERVE))
    decision = decide(DOWN, replace(POLICY, rules=(first, RULE)), History(), NOW)
    assert (type(decision), decision.reason.rule) == (Observe, "first")


def test_without_a_rule_it_observes() -> None:
    decision = decide(DOWN, replace(POLICY, rules=()), History(), NOW)
    assert settled(decision) == (Observe, "", ReasonCode.NO_RULE)


def test_the_model_alone_never_authorises_a_repair() -> None:
    decision = decide(replace(DOWN, evidence=Evidence()), POLICY, History(), NOW)
    assert settled(decision) == (Observe, "", ReasonCode.NO_DIRECT_EVIDENCE)


def test_a_playbook_for_another_kind_of_subject_is_passed_over() -> None:
    policy = with_rule(subjects=("*",), playbooks=("clean-up", "restart"))
    assert settled(decide(DOWN, policy, History(), NOW)) == (Act, "restart", ReasonCode.DELEGATED)


def test_a_rule_without_a_playbook_for_this_kind_of_subject_needs_a_person() -> None:
    policy = with_rule(subjects=("*",), playbooks=("clean-up",))
    decision = decide(DOWN, policy, History(), NOW)
    assert settled(decision) == (Escalate, "", ReasonCode.NO_PLAYBOOK)
    assert "service" in decision.reason.sentence


@pytest.mark.parametrize("level", [Level.SHADOW, Level.ASK, Level.ACT])
def test_a_rule_without_playbooks_needs_a_person(level: Level) -> None:
    decision = decide(DOWN, with_rule(playbooks=(), delegation=replace(ACTING, level=level)), History(), NOW)
    if level is Level.SHADOW:
        assert isinstance(decision, Shadow)
        decision = decision.would
    assert settled(decision) == (Escalate, "", ReasonCode.NO_PLAYBOOK)


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.ROLLED_BACK, Ending.UNVERIFIED])
def test_a_playbook_that_did_not_help_lately_is_passed_over(ending: Ending) -> None:
    policy = with_rule(playbooks=("restart", "restart-slowly"))
    decision = decide(DOWN, policy, history(past(29, ending)), NOW)
    assert settled(decision) == (Act, "restart-slowly", ReasonCode.DELEGATED)
    assert settled(decide(DOWN, policy, history(past(30, ending)), NOW))[1] == "restart"


@pytest.mark.parametrize("ending", [Ending.HEALED, Ending.REFUSED, None])
def test_only_a_repair_that_did_not_help_makes_its_playbook_ineffective(ending: Ending | None) -> None:
    assert settled(decide(DOWN, POLICY, history(past(1, ending)), NOW))[:2] == (Act, "restart")


def test_a_failure_on_another_subject_says_nothing_about_this_one() -> None:
    elsewhere = replace(past(1, Ending.FAILED), subject=Subject(SubjectKind.SERVICE, "db"))
    assert settled(decide(DOWN, POLICY, history(elsewhere), NOW))[:2] == (Act, "restart")


def test_when_every_playbook_has_failed_a_person_is_needed() -> None:
    decision = decide(DOWN, POLICY, history(past(1, Ending.FAILED)), NOW)
    assert settled(decision) == (Escalate, "", ReasonCode.INEFFECTIVE)
    assert decision.reason.sentence.endswith("failed on service:web within 30 min.")


def test_it_asks_below_the_least_confidence_and_the_sentence_shows_the_difference() -> None:
    policy = delegated(least_confidence=0.9)
    assert isinstance(decide(replace(DOWN, confidence=0.9), policy, History(), NOW), Act)
    decision = decide(replace(DOWN, confidence=0.8999), policy, History(), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.CONFIDENCE)
    assert decision.reason.sentence == "Confidence 0.8999 is below 0.9."


def test_it_asks_above_the_highest_risk() -> None:
    decision = decide(DOWN, delegated(highest_risk=Risk.LOW), History(), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.RISK)
    assert decision.reason.sentence == "restart_service is of medium risk; rule restart-services delegates up to low."


def test_the_rules_own_budget() -> None:
    policy = delegated(budget=Budget(2, timedelta(hours=3)))
    assert isinstance(decide(DOWN, policy, history(past(60)), NOW), Act)
    decision = decide(DOWN, policy, history(past(60), past(179.9)), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.RULE_BUDGET)
    assert decision.reason.sentence == "2 of 2 repairs under rule restart-services within 3 h are used."
    assert isinstance(decide(DOWN, policy, history(past(60), past(180)), NOW), Act)


def elsewhere(minutes_ago: float, ending: Ending = Ending.HEALED) -> PastRun:
    return replace(past(minutes_ago, ending, "clean-up"), subject=CACHE, rule="clean", fault=FaultClass.DISK_FULL)


def test_the_endpoints_action_budget_counts_every_rule() -> None:
    policy = replace(POLICY, limits=Limits(actions=Budget(2, timedelta(hours=1))))
    assert settled(decide(DOWN, policy, history(past(40), elsewhere(50)), NOW)) == (
        Ask,
        "restart",
        ReasonCode.ACTION_BUDGET,
    )


def test_a_run_that_goes_on_uses_the_budget_and_a_refused_one_does_not() -> None:
    policy = replace(POLICY, limits=Limits(actions=Budget(1, timedelta(hours=1))))
    assert isinstance(decide(DOWN, policy, history(past(40, None)), NOW), Ask)
    assert isinstance(decide(DOWN, policy, history(past(40, Ending.REFUSED)), NOW), Act)


def test_the_error_budget_withdraws_acting_alone() -> None:
    policy = replace(POLICY, limits=Limits(failures=Budget(2, timedelta(days=1))))
    one = elsewhere(100, Ending.UNVERIFIED)
    assert isinstance(decide(DOWN, policy, history(one), NOW), Act)
    decision = decide(DOWN, policy, history(one, elsewhere(200, Ending.ROLLED_BACK)), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.ERROR_BUDGET)


def test_repeats_count_one_playbook_on_one_subject_whatever_the_rule_or_fault() -> None:
    policy = replace(POLICY, limits=Limits(repeats=Budget(2, timedelta(minutes=30))))
    hung = replace(past(5), rule="another", fault=FaultClass.SERVICE_HUNG)
    decision = decide(DOWN, policy, history(past(10), hung), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.REPEATS)
    assert decision.reason.sentence == "2 of 2 repairs by restart on service:web within 30 min are used."


def test_repeats_do_not_count_another_playbook_or_subject() -> None:
    policy = replace(POLICY, limits=Limits(repeats=Budget(2, timedelta(minutes=30))))
    slowly = past(5, playbook="restart-slowly")
    db = replace(past(5), subject=Subject(SubjectKind.SERVICE, "db"))
    assert isinstance(decide(DOWN, policy, history(past(10), slowly, db), NOW), Act)


def test_quiet_hours_withdraw_acting_alone() -> None:
    policy = replace(delegated(quiet_hours=("night", "noon")), quiet_hours={
        "night": QuietHours("night", 22 * 60, 6 * 60),
        "noon": QuietHours("noon", 12 * 60, 13 * 60),
    })  # fmt: skip
    decision = decide(DOWN, policy, History(), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.QUIET_HOURS)
    assert decision.reason.sentence == "Quiet hours noon are on."
    assert isinstance(decide(DOWN, policy, History(), NOW + timedelta(hours=1)), Act)


def test_level_observe() -> None:
    decision = decide(DOWN, delegated(level=Level.OBSERVE), History(), NOW)
    assert settled(decision) == (Observe, "", ReasonCode.LEVEL)


def test_level_ask_asks_for_what_would_have_been_done() -> None:
    assert settled(decide(DOWN, delegated(level=Level.ASK), History(), NOW)) == (Ask, "restart", ReasonCode.LEVEL)


def test_level_ask_keeps_the_limit_that_would_have_refused() -> None:
    decision = decide(DOWN, delegated(level=Level.ASK, highest_risk=Risk.LOW), History(), NOW)
    assert settled(decision) == (Ask, "restart", ReasonCode.RISK)


def test_level_ask_escalates_where_there_is_nothing_to_ask_for() -> None:
    decision = decide(DOWN, delegated(level=Level.ASK), history(past(1, Ending.FAILED)), NOW)
    assert settled(decision) == (Escalate, "", ReasonCode.INEFFECTIVE)


@pytest.mark.parametrize(
    ("runs", "would"),
    [
        ((), (Act, "restart", ReasonCode.DELEGATED)),
        ((past(31), past(32), past(33), past(34), past(35), past(36)), (Ask, "restart", ReasonCode.ACTION_BUDGET)),
        ((past(1, Ending.FAILED),), (Escalate, "", ReasonCode.INEFFECTIVE)),
    ],
)
def test_level_shadow_bothers_nobody_and_records_what_would_have_been(
    runs: tuple[PastRun, ...], would: tuple[type[Decision], str, ReasonCode]
) -> None:
    decision = decide(DOWN, delegated(level=Level.SHADOW), history(*runs), NOW)
    assert isinstance(decision, Shadow)
    assert settled(decision) == (Shadow, "", ReasonCode.LEVEL)
    assert settled(decision.would) == would


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (timedelta(days=2), "2 d"),
        (timedelta(hours=36), "36 h"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(seconds=61), "61 s"),
    ],
)
def test_a_period_is_written_in_its_largest_whole_unit(period: timedelta, words: str) -> None:
    policy = delegated(budget=Budget(1, period))
    decision = decide(DOWN, policy, history(replace(past(0), started_at=NOW)), NOW)
    assert f"within {words} are used" in decision.reason.sentence


@settings(max_examples=100, deadline=None)
@given(cases(), moments)
def test_an_accepted_policy_makes_decide_total_and_always_the_same(
    case: tuple[Incident, Policy, History], now: datetime
) -> None:
    incident, policy, runs = case
    decided = effective(policy, incident.labels, now)
    decision = decide(incident, decided, runs, now)
    assert decision == decide(incident, decided, History(runs.runs[::-1]), now)
    assert decision.reason.sentence
    if isinstance(decision, Act):
        rule = next(one for one in decided.rules if one.name == decision.reason.rule)
        assert rule.delegation.level is Level.ACT
        assert incident.evidence.signals
        playbook = decided.playbooks[decision.playbook]
        assert playbook.spec.subject_kind is incident.subject.kind
        assert playbook.spec.risk <= rule.delegation.highest_risk


@settings(max_examples=50, deadline=None)
@given(cases(), st.timedeltas(timedelta(), timedelta(days=30)))
def test_a_clock_set_back_never_makes_it_bolder(case: tuple[Incident, Policy, History], back: timedelta) -> None:
    incident, policy, runs = case
    # Quiet hours depend on the time of day, and of two playbooks another one may be next; so neither is there.
    bare: tuple[Rule, ...] = tuple(
        replace(rule, playbooks=rule.playbooks[:1], delegation=replace(rule.delegation, quiet_hours=()))
        for rule in policy.rules
    )
    policy = replace(policy, rules=bare)
    if isinstance(decide(incident, policy, runs, NOW - back), Act):
        later = decide(incident, policy, runs, NOW)
        assert isinstance(later, Act)


def test_there_is_a_golden_case_for_every_reason() -> None:
    cases = [json.loads(path.read_text()) for path in GOLDEN]
    assert len(cases) >= 25
    assert {case["decision"]["code"] for case in cases} == set(ReasonCode)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_case_is_decided_as_it_always_was(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LINES_MAX
    case = json.loads(text)
    incident = incident_from_wire(json_format.ParseDict(case["incident"], incident_pb2.Incident()))
    policy = policy_from_wire(json_format.ParseDict(case["policy"], policy_pb2.Policy()))
    assert check(policy) == ()
    now = datetime.fromisoformat(case["now"])
    runs = History(tuple(_past_run(one) for one in case.get("history", ())))
    assert _written(decide(incident, effective(policy, incident.labels, now), runs, now)) == case["decision"]


def _past_run(one: Mapping[str, str]) -> PastRun:
    kind, name = one["subject"].split(":")
    return PastRun(
        one["playbook"],
        Subject(SubjectKind(kind), name),
        FaultClass(one["fault"]),
        one["rule"],
        datetime.fromisoformat(one["started_at"]),
        Ending(one["ending"]) if "ending" in one else None,
    )


def _written(decision: Decision) -> dict[str, Any]:
    written: dict[str, Any] = {"kind": type(decision).__name__.lower()}
    if isinstance(decision, Act | Ask):
        written["playbook"] = decision.playbook
    written |= {"code": decision.reason.code.value, "rule": decision.reason.rule}
    if isinstance(decision, Shadow):
        written["would"] = _written(decision.would)
    return written
