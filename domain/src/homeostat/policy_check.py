"""Every reason why a policy cannot be used, each with its place in the document and a sentence a person can act on.

A policy without problems makes `decide` total: every name it uses exists and every number lies inside its bounds. The
controller checks before it publishes, the agent and the actuator before they accept. Paths use the keys of the YAML
document. A waiver may only lower a level: what widens authority is a rule, where budgets and reviews can see it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import TypeVar

from homeostat import policy_values as values
from homeostat.catalogue import ACTIONS, THRESHOLDS, VERIFIERS
from homeostat.diagnosis import FaultClass
from homeostat.playbook import Playbook
from homeostat.policy import SEMANTICS_VERSION, Budget, Level, Policy, QuietHours, Rule, Selector, Threshold, Waiver
from homeostat.policy_values import Path, Problem
from homeostat.subject import SubjectKind, can_match, pattern_covers

__all__ = ["Path", "Problem", "check"]


def check(policy: Policy) -> tuple[Problem, ...]:
    """Return everything that is wrong with `policy`; nothing means that it may be decided by."""
    return tuple(
        chain(
            _head(policy),
            _all_of(policy.thresholds, "thresholds", len(THRESHOLDS), _threshold),
            _all_of(policy.playbooks, "playbooks", values.PLAYBOOKS_MAX, _playbook),
            values.too_many(("rules",), len(policy.rules), values.RULES_MAX),
            _twice("rules", [rule.name for rule in policy.rules], "rule"),
            *(_rule(("rules", at), rule, policy) for at, rule in enumerate(policy.rules[: values.RULES_MAX])),
            _shadowed(policy),
            _budget(("limits", "actions"), policy.limits.actions),
            _budget(("limits", "failures"), policy.limits.failures),
            _budget(("limits", "repeats"), policy.limits.repeats),
            _all_of(policy.quiet_hours, "quiet_hours", values.QUIET_HOURS_MAX, _quiet_hours),
            values.too_many(("waivers",), len(policy.waivers), values.WAIVERS_MAX),
            _twice("waivers", [waiver.name for waiver in policy.waivers], "waiver"),
            *(_waiver(("waivers", at), one, policy) for at, one in enumerate(policy.waivers[: values.WAIVERS_MAX])),
        )
    )


def _head(policy: Policy) -> Iterator[Problem]:
    yield from values.name(("name",), policy.name)
    yield from values.text(("description",), policy.description)
    yield from values.within(("priority",), policy.priority, -values.PRIORITY_MAX, values.PRIORITY_MAX)
    yield from values.within(("revision",), policy.revision, 0, values.REVISION_MAX)
    if not 1 <= policy.semantics <= SEMANTICS_VERSION:
        yield Problem(("semantics",), f"is {policy.semantics}; this program speaks 1 to {SEMANTICS_VERSION}")
    if policy.not_after is not None:
        yield from values.moment(("not_after",), policy.not_after)
    yield from values.labels(("select", "labels"), policy.selector)


def _twice(key: str, names: Sequence[str], what: str) -> Iterator[Problem]:
    for problem in values.repeated((key,), names, what):
        yield Problem((*problem.path, "name"), problem.sentence)


def _threshold(path: Path, threshold: Threshold) -> Iterator[Problem]:
    spec = THRESHOLDS.get(threshold.name)
    if spec is None:
        yield Problem(path, values.unknown("threshold", threshold.name, THRESHOLDS), at_key=True)
        return
    ends = {"value": threshold.value, "at_least": threshold.at_least, "at_most": threshold.at_most}
    wrong = [
        problem
        for key, number in ends.items()
        if number is not None
        for problem in values.bounded((*path, key), number, spec)
    ]
    yield from wrong
    if not wrong:
        yield from _range(path, threshold)


def _range(path: Path, threshold: Threshold) -> Iterator[Problem]:
    least, most, value = threshold.at_least, threshold.at_most, threshold.value
    if least is None and most is None:
        return
    if least is None or most is None:
        key, other = ("at_least", "at_most") if most is None else ("at_most", "at_least")
        yield Problem((*path, key), f"a range needs both ends: add {other}, or leave {key} out", between=True)
    elif least > most:
        ends = f"{values.number(least)}, above at_most ({values.number(most)})"
        yield Problem((*path, "at_least"), f"is {ends}: the range is the wrong way round", between=True)
    elif not least <= value <= most:
        ends = f"from {values.number(least)} to {values.number(most)}"
        yield Problem((*path, "value"), f"is {values.number(value)}, outside its own range {ends}", between=True)


def _playbook(path: Path, playbook: Playbook) -> Iterator[Problem]:
    yield from values.length((*path, "settle"), playbook.settle, timedelta(), values.SETTLE_MAX)
    yield from values.length(
        (*path, "verify_within"), playbook.verify_within, values.VERIFY_LEAST, values.VERIFY_WITHIN_MAX
    )
    verifier = VERIFIERS.get(playbook.verifier)
    if playbook.verifier and verifier is None:
        yield Problem((*path, "verifier"), values.unknown("verifier", playbook.verifier, VERIFIERS))
    spec = ACTIONS.get(playbook.action)
    if spec is None:
        yield Problem((*path, "action"), values.unknown("action", playbook.action, ACTIONS))
        return
    if verifier is not None and verifier.subject_kind is not spec.subject_kind:
        sentence = f"{verifier.name} verifies a {verifier.subject_kind}, but {spec.name} repairs a {spec.subject_kind}"
        yield Problem((*path, "verifier"), f"{sentence}: leave it out for {spec.verifier}", between=True)
    known = {one.name: one for one in spec.parameters}
    for name, number in playbook.parameters.items():
        if name in known:
            yield from values.bounded((*path, "parameters", name), number, known[name])
        else:
            sentence = values.unknown(f"parameter of {spec.name}", name, known)
            yield Problem((*path, "parameters", name), sentence, at_key=True)


def _rule(path: Path, rule: Rule, policy: Policy) -> Iterator[Problem]:
    yield from values.name((*path, "name"), rule.name)
    yield from values.labels((*path, "when", "labels"), rule.selector)
    yield from _never_selected((*path, "when", "labels"), rule.selector, policy)
    yield from _faults((*path, "when", "fault"), rule)
    yield from _subjects((*path, "when", "subject"), rule)
    yield from values.references((*path, "do"), "playbook", rule.playbooks, policy.playbooks)
    yield from _kinds(path, rule, policy.playbooks)
    wanted = rule.delegation
    if not rule.playbooks and wanted.level is not Level.OBSERVE:
        sentence = f"level {wanted.level.word} needs a playbook; name one, or use level observe"
        yield Problem((*path, "do"), sentence, between=True)
    yield from values.within((*path, "least_confidence"), wanted.least_confidence, 0, 1)
    if wanted.budget is not None:
        yield from _budget((*path, "budget"), wanted.budget)
    yield from values.references((*path, "quiet_hours"), "quiet_hours entry", wanted.quiet_hours, policy.quiet_hours)


def _faults(path: Path, rule: Rule) -> Iterator[Problem]:
    if not rule.faults:
        yield Problem(path, f"names no fault; there are: {values.listed(FaultClass)}")
    if FaultClass.UNEXPLAINED in rule.faults and rule.delegation.level is not Level.OBSERVE:
        sentence = "the model alone never authorises a repair: give 'unexplained' a rule of level observe"
        yield Problem(path, sentence, between=True)


def _subjects(path: Path, rule: Rule) -> Iterator[Problem]:
    if not rule.subjects:
        yield Problem(path, "names no subject; write a pattern such as 'service:*'")
    yield from values.too_many(path, len(rule.subjects), values.NAMES_MAX)
    yield from values.repeated(path, rule.subjects, "pattern")
    for at, pattern in enumerate(rule.subjects):
        if not values.PATTERN.fullmatch(pattern):
            how = "write it like 'service:web-*', in lower case"
            yield Problem((*path, at), f"{values.shown(pattern)} is no pattern over 'kind:name'; {how}")
        elif not _matches_some(pattern):
            yield Problem((*path, at), _matches_nothing(pattern))


def _matches_some(pattern: str) -> bool:
    return any(can_match(pattern, kind) for kind in SubjectKind)


def _matches_nothing(pattern: str) -> str:
    kind, colon, _ = pattern.partition(":")
    if colon and kind not in set(SubjectKind):
        return values.unknown("kind of subject", kind, SubjectKind)
    kinds = values.listed(SubjectKind)
    return f"{values.shown(pattern)} matches nothing; write 'kind:name' with one of these kinds: {kinds}"


def _kinds(path: Path, rule: Rule, playbooks: Mapping[str, Playbook]) -> Iterator[Problem]:
    """Every pattern must be able to meet a playbook that repairs its kind of subject, and the other way round."""
    repaired = {
        name: ACTIONS[playbooks[name].action].subject_kind
        for name in rule.playbooks
        if name in playbooks and playbooks[name].action in ACTIONS
    }
    patterns = [one for one in rule.subjects if _matches_some(one)]
    if len(repaired) < len(rule.playbooks) or len(patterns) < len(rule.subjects) or not (repaired and patterns):
        return  # something is wrong with them already
    strange = [at for at, one in enumerate(patterns) if not any(can_match(one, kind) for kind in repaired.values())]
    for at in strange:
        kinds = values.listed(sorted(set(repaired.values())))
        sentence = f"{values.shown(patterns[at])} cannot match what this rule's playbooks repair ({kinds})"
        yield Problem((*path, "when", "subject", at), sentence, between=True)
    for at, name in enumerate(rule.playbooks):
        if len(strange) < len(patterns) and not any(can_match(one, repaired[name]) for one in patterns):
            sentence = f"{values.shown(name)} repairs a {repaired[name]}, which no subject of this rule matches"
            yield Problem((*path, "do", at), sentence, between=True)


def _never_selected(path: Path, selector: Selector, policy: Policy) -> Iterator[Problem]:
    for key, wanted in selector.matches.items():
        given = policy.selector.matches.get(key, wanted)
        if wanted and not set(wanted) & set(given):
            sentence = f"selects no endpoint: the policy is only for {key} {values.listed(given)}"
            yield Problem((*path, key), sentence, between=True)


def _shadowed(policy: Policy) -> Iterator[Problem]:
    rules = policy.rules[: values.RULES_MAX]
    allowance = iter(range(values.COMPARISONS_MAX))
    for at, rule in enumerate(rules):
        narrowed = Selector({**policy.selector.matches, **rule.selector.matches})
        before = [one for one in rules[:at] if one.faults & rule.faults and _selects_all_of(one.selector, narrowed)]
        names = _covering(before, rule, allowance)
        if names:
            sentence = f"never applies: {values.listed(names)} above it covers all of it; move this rule up"
            yield Problem(("rules", at), sentence, between=True)


def _covering(before: Sequence[Rule], rule: Rule, allowance: Iterator[int]) -> list[str]:
    """Return the names of the rules that leave nothing to `rule`, or nothing where something is left."""
    names: set[str] = set()
    for pattern in rule.subjects:
        left = set(rule.faults)
        for one in before:
            if left & one.faults and _covers(one, pattern, allowance):
                names.add(values.shown(one.name))
                left -= one.faults
        if left:
            return []
    return sorted(names)


def _covers(rule: Rule, pattern: str, allowance: Iterator[int]) -> bool:
    return any(next(allowance, None) is not None and pattern_covers(wide, pattern) for wide in rule.subjects)


def _selects_all_of(wide: Selector, narrow: Selector) -> bool:
    return all(
        key in narrow.matches and set(narrow.matches[key]) <= set(values) for key, values in wide.matches.items()
    )


def _budget(path: Path, budget: Budget) -> Iterator[Problem]:
    yield from values.within((*path, "count"), budget.count, 1, values.COUNT_MAX)
    yield from values.length((*path, "per"), budget.period, values.PERIOD_LEAST, values.PERIOD_MAX)


def _quiet_hours(path: Path, hours: QuietHours) -> Iterator[Problem]:
    if not 0 <= hours.start_minute < values.DAY_MINUTES:
        yield Problem((*path, "from"), "must be a time from 00:00 to 23:59")
    if not 0 <= hours.end_minute <= values.DAY_MINUTES:
        yield Problem((*path, "to"), "must be a time from 00:00 to 24:00")
    if not hours.weekdays <= set(range(1, 8)):
        yield Problem((*path, "days"), "must be days of the week, from mon to sun")


def _waiver(path: Path, waiver: Waiver, policy: Policy) -> Iterator[Problem]:
    yield from values.name((*path, "name"), waiver.name)
    for key, text in (("owner", waiver.owner), ("reason", waiver.reason)):
        yield from values.text((*path, key), text)
        if not text.strip():
            yield Problem((*path, key), "is empty; say who answers for the waiver, and why it is there")
    yield from values.moment((*path, "expires_at"), waiver.expires_at)
    yield from values.labels((*path, "select", "labels"), waiver.selector)
    yield from _never_selected((*path, "select", "labels"), waiver.selector, policy)
    if not waiver.rules:
        yield Problem((*path, "rules"), "names no rule")
    levels = {rule.name: rule.delegation.level for rule in policy.rules}
    yield from values.references((*path, "rules"), "rule", waiver.rules, levels)
    for name in waiver.rules:
        if waiver.level > levels.get(name, Level.ACT):
            sentence = f"would raise rule {values.shown(name)} from {levels[name].word} to {waiver.level.word}"
            yield Problem(
                (*path, "level"), f"{sentence}; a waiver may only lower: change the rule instead", between=True
            )


Named = TypeVar("Named", Threshold, Playbook, QuietHours)


def _all_of(
    entries: Mapping[str, Named], key: str, most: int, entry: Callable[[Path, Named], Iterator[Problem]]
) -> Iterator[Problem]:
    """Check one of the document's tables of named things."""
    yield from values.too_many((key,), len(entries), most)
    for name, one in list(entries.items())[:most]:
        if key != "thresholds":  # those are judged by the catalogue
            yield from values.name((key, name), name, at_key=True)
        if one.name != name:
            yield Problem((key, name), f"is called {values.shown(one.name)} inside")
        yield from entry((key, name), one)
