from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from domain_strategies import accepted_policies, policies
from domain_values import ACTING, NOW, PLAYBOOKS, POLICY, RULE
from hypothesis import given, settings

from homeostat import policy_values as values
from homeostat.catalogue import Risk
from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.policy import (
    SEMANTICS_VERSION,
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

MINUTE = timedelta(minutes=1)
WAIVER = Waiver("fair", "ops", "The fair.", (RULE.name,), Level.ASK, NOW)
WATCHING = Delegation(Level.OBSERVE)


def told(policy: Policy) -> list[str]:
    return [str(one) for one in check(policy)]


def one(policy: Policy) -> str:
    (problem,) = told(policy)
    return problem


def with_rule(**changes: Any) -> Policy:
    return replace(POLICY, rules=(replace(RULE, **changes),))


def with_rules(*rules: Rule) -> Policy:
    return replace(POLICY, rules=rules)


def with_playbook(**changes: Any) -> Policy:
    return replace(POLICY, playbooks=PLAYBOOKS | {"restart": replace(PLAYBOOKS["restart"], **changes)})


def with_threshold(*numbers: float | None) -> Policy:
    name = "disk_used_percent"
    return replace(POLICY, thresholds={name: Threshold(name, *numbers)})  # type: ignore[arg-type]  # value comes first


def test_a_good_policy_has_no_problem() -> None:
    assert told(POLICY) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "My policy"}, "name: 'My policy' is no name"),
        ({"description": "\x1b[2J"}, "description: holds control characters"),
        ({"priority": 1001}, "priority: is 1001; it must be from -1000 to 1000"),
        ({"revision": -1}, "revision: is -1"),
        ({"revision": 2**63}, "revision: is 9223372036854775808"),
        ({"semantics": 0}, "semantics: is 0; this program speaks 1 to"),
        ({"semantics": SEMANTICS_VERSION + 1}, f"semantics: is {SEMANTICS_VERSION + 1}; this program speaks"),
        ({"not_after": NOW.replace(tzinfo=None)}, "not_after: needs a time zone"),
        ({"selector": Selector({"env": ()})}, "select.labels.env: has no value"),
        ({"limits": Limits(actions=Budget(0, MINUTE))}, "limits.actions.count: is 0; it must be from 1 to 1000"),
        ({"limits": Limits(failures=Budget(1001, MINUTE))}, "limits.failures.count: is 1001"),
        ({"limits": Limits(repeats=Budget(1, timedelta()))}, "limits.repeats.per: is 0s; it must be from 1s to 31d"),
        ({"limits": Limits(repeats=Budget(1, timedelta(days=32)))}, "limits.repeats.per: is 32d"),
    ],
)
def test_the_head_and_the_limits(changes: dict[str, Any], problem: str) -> None:
    assert one(replace(POLICY, **changes)).startswith(problem)


def test_the_bounds_of_the_head_are_allowed() -> None:
    edge = replace(
        POLICY,
        priority=-values.PRIORITY_MAX,
        revision=values.REVISION_MAX,
        description="x" * values.TEXT_CHARACTERS_MAX,
        not_after=datetime(2999, 12, 31, tzinfo=UTC),
        limits=Limits(Budget(values.COUNT_MAX, values.PERIOD_MAX), Budget(1, values.PERIOD_LEAST)),
    )
    assert told(edge) == []


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ((49.0,), "thresholds.disk_used_percent.value: is 49; disk_used_percent must be from 50 to 99.5 (percent)"),
        ((float("nan"),), "thresholds.disk_used_percent.value: is nan"),
        ((90.0, 80.0), "thresholds.disk_used_percent.at_least: a range needs both ends: add at_most"),
        ((90.0, None, 95.0), "thresholds.disk_used_percent.at_most: a range needs both ends: add at_least"),
        ((90.0, 95.0, 80.0), "thresholds.disk_used_percent.at_least: is 95, above at_most (80)"),
        ((79.0, 80.0, 95.0), "thresholds.disk_used_percent.value: is 79, outside its own range from 80 to 95"),
        ((90.0, 80.0, 100.0), "thresholds.disk_used_percent.at_most: is 100"),
    ],
)
def test_thresholds(numbers: tuple[float | None, ...], problem: str) -> None:
    assert one(with_threshold(*numbers)).startswith(problem)


def test_every_bad_end_of_a_range_is_told() -> None:
    assert [problem.path[-1] for problem in check(with_threshold(1.0, 2.0, 100.0))] == ["value", "at_least", "at_most"]
    assert told(with_threshold(80.0, 80.0, 80.0)) == []


def test_unknown_thresholds() -> None:
    (problem,) = check(replace(POLICY, thresholds={"Disk": Threshold("Disk", 1.0)}))
    assert problem.sentence.startswith("no threshold is called 'Disk'")
    assert problem.at_key


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"action": "restart"},
            "playbooks.restart.action: no action is called 'restart' (did you mean 'restart_ser",
        ),
        ({"verifier": "healthy"}, "playbooks.restart.verifier: no verifier is called 'healthy'"),
        ({"verifier": "process_calm"}, "playbooks.restart.verifier: process_calm verifies a process, but restart_serv"),
        ({"settle": -MINUTE}, "playbooks.restart.settle: is -1m; it must be from 0s to 30m"),
        ({"settle": 31 * MINUTE}, "playbooks.restart.settle: is 31m"),
        ({"verify_within": timedelta()}, "playbooks.restart.verify_within: is 0s; it must be from 1ms to 30m"),
        ({"verify_within": 31 * MINUTE}, "playbooks.restart.verify_within: is 31m"),
        ({"parameters": {"grace": 1.0}}, "playbooks.restart.parameters.grace: no parameter of restart_service is call"),
        ({"name": "other"}, "playbooks.restart: is called 'other' inside"),
    ],
)
def test_playbooks(changes: dict[str, Any], problem: str) -> None:
    assert one(with_playbook(**changes)).startswith(problem)


def test_the_bounds_of_a_playbook_are_allowed() -> None:
    longest = values.VERIFY_WITHIN_MAX
    assert told(with_playbook(settle=values.SETTLE_MAX, verify_within=longest, verifier="service_healthy")) == []
    assert told(with_playbook(verify_within=values.VERIFY_LEAST)) == []


@pytest.mark.parametrize(("grace", "fine"), [(0.0, True), (60.0, True), (60.1, False), (-1.0, False)])
def test_parameters(grace: float, *, fine: bool) -> None:
    playbooks = PLAYBOOKS | {"end": Playbook("end", "stop_process", {"grace": grace})}
    assert (told(replace(POLICY, playbooks=playbooks)) == []) is fine


def test_the_names_of_playbooks_are_names() -> None:
    (problem,) = check(replace(POLICY, playbooks=PLAYBOOKS | {"A": Playbook("A", "restart_service")}))
    assert problem.at_key
    assert str(problem).startswith("playbooks.A: 'A' is no name")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": ""}, "rules[0].name: '' is no name"),
        ({"selector": Selector({"a b": ("c",)})}, "rules[0].when.labels.a b: 'a b' is no label"),
        ({"faults": frozenset()}, "rules[0].when.fault: names no fault; there are: service-down"),
        ({"faults": frozenset({FaultClass.UNEXPLAINED})}, "rules[0].when.fault: the model alone never authorises"),
        ({"subjects": ()}, "rules[0].when.subject: names no subject"),
        ({"subjects": ("service:*", "service:*")}, "rules[0].when.subject[1]: pattern 'service:*' is there twice"),
        ({"subjects": ("service:Web",)}, "rules[0].when.subject[0]: 'service:Web' is no pattern over 'kind:name'"),
        ({"subjects": ("",)}, "rules[0].when.subject[0]: '' is no pattern"),
        (
            {"subjects": ("servce:*",)},
            "rules[0].when.subject[0]: no kind of subject is called 'servce' (did you mean",
        ),
        ({"subjects": ("nginx",)}, "rules[0].when.subject[0]: 'nginx' matches nothing; write 'kind:name'"),
        ({"subjects": ("service:-x",)}, "rules[0].when.subject[0]: 'service:-x' matches nothing"),
        (
            {"subjects": ("folder:*",)},
            "rules[0].when.subject[0]: 'folder:*' cannot match what this rule's playbooks",
        ),
        ({"subjects": ("service:*", "f*")}, "rules[0].when.subject[1]: 'f*' cannot match what this rule's playbooks"),
        (
            {"playbooks": ("restart", "clean-up")},
            "rules[0].do[1]: 'clean-up' repairs a folder, which no subject of",
        ),
        ({"playbooks": ("restart", "restart")}, "rules[0].do[1]: playbook 'restart' is there twice"),
        ({"playbooks": ("restrat",)}, "rules[0].do[0]: no playbook is called 'restrat' (did you mean 'restart'?)"),
        ({"playbooks": ()}, "rules[0].do: level act needs a playbook; name one, or use level observe"),
        ({"delegation": replace(ACTING, least_confidence=1.1)}, "rules[0].least_confidence: is 1.1; it must be from 0"),
        ({"delegation": replace(ACTING, least_confidence=float("nan"))}, "rules[0].least_confidence: is nan"),
        ({"delegation": replace(ACTING, budget=Budget(0, MINUTE))}, "rules[0].budget.count: is 0"),
        (
            {"delegation": replace(ACTING, quiet_hours=("night",))},
            "rules[0].quiet_hours[0]: no quiet_hours entry",
        ),
    ],
)
def test_rules(changes: dict[str, Any], problem: str) -> None:
    assert one(with_rule(**changes)).startswith(problem)


@pytest.mark.parametrize("level", [Level.SHADOW, Level.ASK, Level.ACT])
def test_a_level_above_observe_needs_something_to_do(level: Level) -> None:
    assert f"level {level.word} needs a playbook" in one(with_rule(playbooks=(), delegation=Delegation(level)))
    assert told(with_rule(playbooks=(), delegation=WATCHING)) == []


def test_whatever_is_only_observed_may_be_unexplained() -> None:
    assert told(with_rule(faults=frozenset(FaultClass), playbooks=(), delegation=WATCHING)) == []


def test_one_pattern_may_serve_playbooks_for_several_kinds() -> None:
    assert told(with_rule(subjects=("*",), playbooks=("restart", "clean-up"))) == []


def test_what_is_wrong_already_is_not_told_again_in_other_words() -> None:
    # The kinds of subject are not compared where a playbook or a pattern is unknown.
    assert len(told(with_rule(playbooks=("clean-up", "nothing")))) == 1
    assert len(told(with_rule(subjects=("foldr:*",)))) == 1
    broken = replace(with_playbook(action="restart"), rules=(replace(RULE, subjects=("folder:*",)),))
    assert len(told(broken)) == 1


def test_two_rules_of_one_name() -> None:
    problem = one(with_rules(RULE, replace(RULE, faults=frozenset({FaultClass.SERVICE_HUNG}))))
    assert problem == "rules[1].name: rule 'restart-services' is there twice"


PROD = Selector({"env": ("prod",)})
NEXT = replace(RULE, name="next")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((RULE,), NEXT),
        ((RULE,), replace(NEXT, subjects=("service:web", "service:db-?"))),
        ((RULE,), replace(NEXT, selector=PROD)),
        ((replace(RULE, selector=PROD),), replace(NEXT, selector=PROD)),
        ((replace(RULE, subjects=("service:web",)), replace(RULE, name="b", subjects=("service:db",))),
         replace(NEXT, subjects=("service:db", "service:web"))),
        ((replace(RULE, faults=frozenset({FaultClass.SERVICE_HUNG})), replace(RULE, name="b")),
         replace(NEXT, faults=frozenset({FaultClass.SERVICE_DOWN, FaultClass.SERVICE_HUNG}))),
    ],
)  # fmt: skip
def test_a_rule_that_is_covered_wholly_by_those_above_never_applies(before: tuple[Rule, ...], after: Rule) -> None:
    problem = one(with_rules(*before, after))
    assert problem.startswith(f"rules[{len(before)}]: never applies: ")
    assert "'restart-services'" in problem


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (RULE, replace(NEXT, faults=frozenset({FaultClass.SERVICE_DOWN, FaultClass.SERVICE_HUNG}))),
        (replace(RULE, subjects=("service:w*",)), NEXT),
        (replace(RULE, selector=PROD), NEXT),
        (replace(RULE, selector=PROD), replace(NEXT, selector=Selector({"env": ("prod", "test")}))),
        (replace(RULE, selector=Selector({"env": ("prod",), "role": ("web",)})), replace(NEXT, selector=PROD)),
    ],
)
def test_a_rule_that_is_covered_in_part_does_apply(before: Rule, after: Rule) -> None:
    assert told(with_rules(before, after)) == []


def test_a_rule_for_all_the_policys_endpoints_covers_one_for_all_endpoints() -> None:
    policy = replace(with_rules(replace(RULE, selector=PROD), NEXT), selector=PROD)
    assert one(policy).startswith("rules[1]: never applies")


@pytest.mark.parametrize("chosen", [("test",), ("test", "dev")])
def test_a_rule_for_endpoints_that_the_policy_does_not_select(chosen: tuple[str, ...]) -> None:
    policy = replace(with_rule(selector=Selector({"env": chosen})), selector=PROD)
    assert one(policy) == "rules[0].when.labels.env: selects no endpoint: the policy is only for env prod"


def test_a_rule_may_narrow_the_policys_selection() -> None:
    selector = Selector({"env": ("prod", "test"), "role": ("web",)})
    assert told(replace(with_rule(selector=selector), selector=PROD)) == []


@pytest.mark.parametrize(
    ("hours", "problem"),
    [
        (QuietHours("night", -1, 60), "quiet_hours.night.from: must be a time from 00:00 to 23:59"),
        (QuietHours("night", 1440, 60), "quiet_hours.night.from: must be"),
        (QuietHours("night", 60, 1441), "quiet_hours.night.to: must be a time from 00:00 to 24:00"),
        (QuietHours("night", 60, -1), "quiet_hours.night.to: must be"),
        (QuietHours("night", 60, 90, frozenset({0})), "quiet_hours.night.days: must be days of the week"),
        (QuietHours("night", 60, 90, frozenset({1, 8})), "quiet_hours.night.days: must be"),
        (QuietHours("day", 60, 90), "quiet_hours.night: is called 'day' inside"),
    ],
)
def test_quiet_hours(hours: QuietHours, problem: str) -> None:
    assert one(replace(POLICY, quiet_hours={"night": hours})).startswith(problem)


@pytest.mark.parametrize("hours", [QuietHours("night", 0, 1440, frozenset(range(1, 8))), QuietHours("night", 1439, 0)])
def test_the_bounds_of_quiet_hours_are_allowed(hours: QuietHours) -> None:
    assert told(replace(POLICY, quiet_hours={"night": hours})) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "The fair"}, "waivers[0].name: 'The fair' is no name"),
        ({"owner": " "}, "waivers[0].owner: is empty; say who answers for the waiver"),
        ({"reason": ""}, "waivers[0].reason: is empty"),
        ({"reason": "\x00"}, "waivers[0].reason: holds control characters"),
        ({"rules": ()}, "waivers[0].rules: names no rule"),
        (
            {"rules": ("restart",)},
            "waivers[0].rules[0]: no rule is called 'restart' (did you mean 'restart-serv",
        ),
        ({"rules": (RULE.name, RULE.name)}, "waivers[0].rules[1]: rule 'restart-services' is there twice"),
        ({"expires_at": NOW.replace(tzinfo=None)}, "waivers[0].expires_at: needs a time zone"),
        ({"selector": Selector({"env": ()})}, "waivers[0].select.labels.env: has no value"),
    ],
)
def test_waivers(changes: dict[str, Any], problem: str) -> None:
    assert one(replace(POLICY, waivers=(replace(WAIVER, **changes),))).startswith(problem)


def test_a_waiver_may_only_lower() -> None:
    policy = replace(with_rule(delegation=replace(ACTING, level=Level.ASK)), waivers=(WAIVER,))
    assert told(policy) == []
    raising = replace(policy, waivers=(replace(WAIVER, level=Level.ACT),))
    assert one(raising) == (
        "waivers[0].level: would raise rule 'restart-services' from ask to act; "
        "a waiver may only lower: change the rule instead"
    )


def test_two_waivers_of_one_name_and_one_for_endpoints_that_are_not_selected() -> None:
    assert one(replace(POLICY, waivers=(WAIVER, WAIVER))) == "waivers[1].name: waiver 'fair' is there twice"
    elsewhere = replace(WAIVER, selector=Selector({"env": ("test",)}))
    policy = replace(POLICY, selector=PROD, waivers=(elsewhere,))
    assert one(policy).startswith("waivers[0].select.labels.env: selects no endpoint")


def numbered(count: int) -> list[str]:
    return [f"n{number}" for number in range(count)]


def test_every_collection_is_bounded() -> None:
    rules = tuple(replace(RULE, name=name, subjects=(f"service:{name}",)) for name in numbered(values.RULES_MAX + 1))
    waivers = tuple(replace(WAIVER, name=name, rules=("n0",)) for name in numbered(values.WAIVERS_MAX + 1))
    playbooks = {name: Playbook(name, "restart_service") for name in numbered(values.PLAYBOOKS_MAX + 1)}
    hours = {name: QuietHours(name, 0, 1) for name in numbered(values.QUIET_HOURS_MAX + 1)}
    assert one(with_rules(*rules)) == "rules: has 201 entries; 200 are allowed"
    assert one(replace(with_rule(name="n0"), waivers=waivers)) == "waivers: has 101 entries; 100 are allowed"
    assert "playbooks: has 101 entries; 100 are allowed" in told(replace(Policy("x"), playbooks=playbooks))
    assert one(replace(POLICY, quiet_hours=hours)) == "quiet_hours: has 51 entries; 50 are allowed"
    at_the_bound = replace(
        with_rules(*rules[:-1]),
        waivers=waivers[:-1],
        quiet_hours={name: hours[name] for name in numbered(values.QUIET_HOURS_MAX)},
    )
    assert told(at_the_bound) == []


def test_the_search_for_rules_that_never_apply_is_bounded() -> None:
    # Each of these rules is compared with all before it, pattern by pattern, until the allowance is used up.
    subjects = tuple(f"service:{name}-*" for name in numbered(values.NAMES_MAX))
    many = [replace(RULE, name=name, subjects=tuple(f"{one}{name}" for one in subjects)) for name in numbered(199)]
    assert one(with_rules(many[0], replace(many[0], name="again"), *many[1:])).startswith("rules[1]: never applies")
    assert told(with_rules(*many, replace(many[0], name="again"))) == []


def test_every_list_of_a_rule_is_bounded() -> None:
    most = tuple(f"service:{name}" for name in numbered(values.NAMES_MAX))
    assert told(with_rule(subjects=most)) == []
    assert one(with_rule(subjects=(*most, "service:more"))) == "rules[0].when.subject: has 21 entries; 20 are allowed"


def test_every_problem_is_found_at_once() -> None:
    policy = Policy(
        "X",
        priority=9999,
        playbooks={"p": Playbook("p", "reboot")},
        rules=(replace(RULE, faults=frozenset(), subjects=(), playbooks=("q",)),),
        limits=Limits(Budget(0, timedelta()), Budget(0, timedelta()), Budget(0, timedelta())),
        quiet_hours={"n": QuietHours("n", -1, -1, frozenset({9}))},
        waivers=(replace(WAIVER, owner="", rules=("z",)),),
    )
    assert len(told(policy)) == 2 + 1 + 3 + 6 + 3 + 2


def test_a_delegation_that_can_only_ask_is_allowed() -> None:
    assert told(with_rule(delegation=replace(ACTING, highest_risk=Risk.LOW))) == []


@settings(max_examples=40, deadline=None)
@given(policies())
def test_checking_is_total_and_every_problem_is_a_sentence_at_a_place(policy: Policy) -> None:
    sections = {"rules", "waivers", "select", "thresholds", "playbooks", "quiet_hours", "limits"}
    for problem in check(policy):
        assert problem.path[0] in sections
        assert problem.sentence.isprintable()
        assert not problem.sentence.endswith(".")


@settings(max_examples=20, deadline=None)
@given(accepted_policies())
def test_there_are_policies_without_problems(policy: Policy) -> None:
    assert check(policy) == ()
