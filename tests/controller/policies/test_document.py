from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homeostat.diagnosis import FaultClass
from homeostat.policy import Level, Policy
from homeostat.policy_check import check
from homeostat_controller.policies.document import PROBLEMS_MAX, LocatedProblem, compile_policy, to_yaml

TESTS = Path(__file__).parents[2]
MALFORMED = sorted((TESTS / "malformed_policies").glob("*.yaml"))
GOOD = sorted((TESTS / "golden" / "policies").glob("*.yaml"))
DEMO = TESTS.parent / "controller/src/homeostat_controller/demo/policy.yaml"


def expected(source: bytes) -> list[tuple[str, str]]:
    """The leading comments `# expect LINE:COLUMN FRAGMENT`."""
    lines = source.decode(errors="replace").splitlines()
    return [(place, text) for _, _, place, text in (one.split(" ", 3) for one in lines if one.startswith("# expect "))]


def test_there_are_forty_mistakes_and_more() -> None:
    assert len(MALFORMED) >= 40


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_every_mistake_is_told_at_its_place(path: Path) -> None:
    source = path.read_bytes()
    compiled = compile_policy(source)
    wanted = expected(source)
    assert wanted
    assert compiled.policy is None
    assert [f"{one.line}:{one.column}" for one in compiled.problems] == [place for place, _ in wanted]
    for problem, (_, fragment) in zip(compiled.problems, wanted, strict=True):
        assert fragment in problem.sentence
        assert len(problem.sentence) < 400
        assert "<" not in problem.sentence.replace("'<<'", ""), "no object's repr reaches a person"


@pytest.mark.parametrize("path", [*GOOD, DEMO], ids=lambda path: path.stem)
def test_a_good_policy_compiles_and_comes_back_from_its_own_text(path: Path) -> None:
    compiled = compile_policy(path.read_bytes())
    assert compiled.problems == ()
    assert compiled.policy is not None
    assert check(compiled.policy) == ()
    assert compile_policy(to_yaml(compiled.policy)).policy == compiled.policy


def test_a_text_and_its_bytes_compile_alike() -> None:
    text = GOOD[0].read_text(encoding="utf-8")
    assert compile_policy(text) == compile_policy(text.encode()) == compile_policy("\ufeff" + text)


def test_a_problem_reads_as_line_column_sentence() -> None:
    (problem,) = compile_policy("name: Web\n").problems
    assert str(problem).startswith("1:7 'Web' is no name")
    assert problem.path == ("name",)


def test_a_bad_key_is_shown_where_the_key_is() -> None:
    (problem,) = compile_policy('name: web\nplaybooks:\n  "my playbook": {action: restart_service}\n').problems
    assert (problem.line, problem.column) == (3, 3)


def test_problems_above_the_bound_are_counted() -> None:
    rules = "".join(f"  - {{name: r{i}, when: {{fault: x, subject: '*'}}, level: y}}\n" for i in range(PROBLEMS_MAX))
    problems = compile_policy(f"name: web\nrules:\n{rules}").problems
    assert len(problems) == PROBLEMS_MAX
    assert problems[-1] == LocatedProblem(51 + 1, problems[-1].column, (), f"and {PROBLEMS_MAX + 1} more problems")


def test_the_largest_policies_are_checked_too() -> None:
    rules = "".join(
        f"  - {{name: r{i}, when: {{fault: service-down, subject: [{subjects}]}}, level: observe}}\n"
        for i in range(200)
        for subjects in [", ".join(f"'service:*{i}*{j}*'" for j in range(20))]
    )
    problems = compile_policy(f"name: web\nrules:\n{rules}").problems
    assert problems
    assert all(one.sentence.startswith("never applies") for one in problems)


def test_what_stands_in_for_something_broken_is_not_complained_about() -> None:
    source = """name: web
select: {labels: {env: prod}}
rules:
  - name: first
    when: {fault: [service-down, nonsense], subject: "service:*", labels: {env: 5}}
    do: [restart, 5]
    level: 4
  - name: second
    when: {fault: service-down, subject: "service:web"}
    do: [restart]
    level: act
    quiet_hours: [night]
playbooks:
  restart: [restart_service]
quiet_hours:
  night: {from: 22}
waivers:
  - {name: w, owner: a, reason: b, rules: [first], level: act, expires_at: "2030-01-01T00:00:00Z"}
"""
    places = [(one.line, one.path[:4]) for one in compile_policy(source).problems]
    assert places == [
        (5, ("rules", 0, "when", "fault")),
        (5, ("rules", 0, "when", "labels")),
        (6, ("rules", 0, "do", 1)),
        (7, ("rules", 0, "level")),
        (14, ("playbooks", "restart")),
        (16, ("quiet_hours", "night", "to")),
        (16, ("quiet_hours", "night", "from")),
    ]


def test_the_document_means_what_it_says() -> None:
    policy = compile_policy((TESTS / "golden/policies/everything.yaml").read_bytes()).policy
    assert policy is not None
    rule = policy.rules[0]
    assert rule.faults == {FaultClass.SERVICE_DOWN, FaultClass.SERVICE_HUNG}
    assert rule.delegation.level is Level.ACT
    assert policy.selector.matches == {"role": ("kiosk",), "site": ("lyon", "paris 2"), "1st": ("true",)}
    assert (policy.quiet_hours["open"].start_minute, policy.quiet_hours["stocktaking"].end_minute) == (540, 1440)
    assert policy.quiet_hours["open"].weekdays == {1, 2, 3, 4, 5, 6}
    assert policy.limits.failures == Policy("x").limits.failures
    assert policy.playbooks["restart"].verify_within.total_seconds() == 90
    assert policy.revision == 0


def test_the_revision_is_not_part_of_the_text() -> None:
    policy = compile_policy(GOOD[0].read_bytes()).policy
    assert policy is not None
    assert to_yaml(policy) == to_yaml(replace(policy, revision=7))


LINES = [line for path in [*GOOD, *MALFORMED] for line in path.read_bytes().splitlines(keepends=True)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=30).map(b"".join))
def test_no_shuffle_of_policies_makes_a_traceback(source: bytes) -> None:
    compiled = compile_policy(source)
    assert (compiled.policy is None) == bool(compiled.problems)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60), st.text("ab:-[]{},&*!|>'\"%@? \n\t#", max_size=60)))
@example(b"\xff\xfen\0a\0")
@example("a: \ud800")
@example("? ")
@example("[" * 5000)
@example("- " * 5000)
@example("a: " + "9" * 5000)
@example("? [a]\n: b")
@example("rules: [[], {}, 5, null]\nplaybooks: {a: }\nname: {}\nlimits: {actions: []}")
@example("rules: {when: {}}\nwaivers: 5\nselect: {labels: [a]}\nthresholds: {a: {value: {}}}")
def test_no_text_makes_a_traceback(source: str | bytes) -> None:
    compiled = compile_policy(source)
    assert compiled.policy is None
    assert compiled.problems
    assert all(one.line >= 1 and one.column >= 1 and one.sentence for one in compiled.problems)
