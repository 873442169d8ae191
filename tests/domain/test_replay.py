from dataclasses import replace
from datetime import timedelta

from domain_strategies import cases
from domain_values import ACTING, CACHE, DOWN, NOW, POLICY, RULE
from hypothesis import given, settings

from homeostat.budget import History
from homeostat.decision import Act, Ask, Escalate, Observe, ReasonCode
from homeostat.diagnosis import FaultClass
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.policy import Budget, Level, Limits, Policy, Selector
from homeostat.replay import RecordedIncident, replay

ASKING = replace(POLICY, rules=(replace(RULE, delegation=replace(ACTING, level=Level.ASK)),))
ONE_A_DAY = replace(POLICY, limits=Limits(actions=Budget(1, timedelta(days=1))))


def recorded(minutes: float, ending: Ending | None = None, **changes: object) -> RecordedIncident:
    one = RecordedIncident(DOWN, NOW + timedelta(minutes=minutes), ending, "restart_service" if ending else "")
    return replace(one, **changes)  # type: ignore[arg-type]  # the test's own keywords


def codes(found: list[RecordedIncident], policy: Policy) -> list[ReasonCode]:
    return [one.candidate.reason.code for one in replay(found, POLICY, policy)]


def test_it_shows_what_each_policy_decides() -> None:
    (one,) = replay([recorded(0)], POLICY, ASKING)
    assert (type(one.current), type(one.candidate)) == (Act, Ask)
    assert one.incident == DOWN
    assert one.differs


def test_the_same_policy_does_not_differ() -> None:
    assert not any(one.differs for one in replay([recorded(0), recorded(1)], POLICY, POLICY))


def test_another_reason_is_a_difference() -> None:
    risky = replace(POLICY, rules=(replace(RULE, delegation=replace(ACTING, level=Level.ASK, least_confidence=1.0)),))
    unsure = recorded(0, incident=replace(DOWN, confidence=0.95))
    (one,) = replay([unsure], ASKING, risky)
    assert (type(one.current), type(one.candidate)) == (Ask, Ask)
    assert one.differs


def test_each_policy_has_the_history_of_its_own_decisions() -> None:
    found = [recorded(0), recorded(10)]
    assert codes(found, ONE_A_DAY) == [ReasonCode.DELEGATED, ReasonCode.ACTION_BUDGET]
    assert [type(one.current) for one in replay(found, POLICY, ONE_A_DAY)] == [Act, Act]


def test_each_endpoint_has_its_own_history() -> None:
    other = recorded(1, incident=replace(DOWN, endpoint_id="e2"))
    assert codes([recorded(0), other], ONE_A_DAY) == [ReasonCode.DELEGATED, ReasonCode.DELEGATED]


def test_a_recorded_ending_counts_for_the_policy_that_would_have_done_the_same() -> None:
    found = [recorded(0, Ending.FAILED), recorded(10)]
    assert codes(found, POLICY) == [ReasonCode.DELEGATED, ReasonCode.INEFFECTIVE]


def test_a_recorded_ending_says_nothing_about_another_action() -> None:
    # What was recorded is the end of another repair, so this one counts as having helped.
    found = [recorded(0, Ending.FAILED, action="stop_process"), recorded(10)]
    assert codes(found, POLICY) == [ReasonCode.DELEGATED, ReasonCode.DELEGATED]


def test_a_repair_without_a_recorded_ending_counts_as_having_helped() -> None:
    assert codes([recorded(0), recorded(10)], POLICY) == [ReasonCode.DELEGATED, ReasonCode.DELEGATED]


def test_what_a_person_approved_is_approved_again_where_the_same_is_asked() -> None:
    found = [recorded(0, Ending.FAILED, approved=True), recorded(10)]
    asked, then = replay(found, ASKING, ASKING)
    assert isinstance(asked.candidate, Ask)
    assert isinstance(then.candidate, Escalate)
    refused = [recorded(0, Ending.FAILED, approved=False), recorded(10)]
    assert [type(one.candidate) for one in replay(refused, ASKING, ASKING)] == [Ask, Ask]
    elsewhere = [recorded(0, Ending.FAILED, approved=True, action="stop_process"), recorded(10)]
    assert [type(one.candidate) for one in replay(elsewhere, ASKING, ASKING)] == [Ask, Ask]


def test_an_incident_on_an_endpoint_that_the_policy_does_not_select_is_only_observed() -> None:
    policy = replace(POLICY, selector=Selector({"env": ("prod",)}))
    prod = recorded(0, incident=replace(DOWN, labels={"env": "prod"}))
    assert codes([recorded(0), prod], policy) == [ReasonCode.NO_RULE, ReasonCode.DELEGATED]


def test_rules_and_waivers_count_as_of_the_time_of_the_incident() -> None:
    policy = replace(POLICY, not_after=NOW + timedelta(minutes=5))
    assert codes([recorded(0), recorded(5)], policy) == [ReasonCode.DELEGATED, ReasonCode.LEVEL]


def test_what_no_budget_can_count_any_more_is_forgotten() -> None:
    found = [recorded(0), recorded(60 * 24 * 31), recorded(60 * 24 * 62)]
    widest = replace(POLICY, limits=Limits(actions=Budget(1, timedelta(days=31))))
    assert codes(found, widest) == [ReasonCode.DELEGATED] * 3
    assert codes([recorded(0), recorded(60 * 24 * 31 - 1)], widest)[1] is ReasonCode.ACTION_BUDGET


def test_another_fault_on_another_subject_uses_the_same_budget() -> None:
    disk = recorded(5, incident=replace(DOWN, fault=FaultClass.DISK_FULL, subject=CACHE))
    decisions = [type(one.candidate) for one in replay([disk, recorded(6)], POLICY, ONE_A_DAY)]
    assert decisions == [Observe, Act]


@settings(max_examples=40, deadline=None)
@given(cases())
def test_replaying_under_one_policy_twice_shows_no_difference(case: tuple[Incident, Policy, History]) -> None:
    incident, policy, runs = case
    found = [
        RecordedIncident(incident, run.started_at, run.ending, "restart_service", run.approved) for run in runs.runs
    ]
    assert not any(one.differs for one in replay(found, policy, policy))
