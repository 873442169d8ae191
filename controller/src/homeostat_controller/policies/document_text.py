"""A policy → the YAML that stands for it: compiling the text gives the same policy again, but for its revision."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from homeostat.playbook import Playbook
from homeostat.policy import Budget, Policy, QuietHours, Rule, Selector, Threshold, Waiver
from homeostat.policy_values import duration, number
from homeostat_controller.policies.document_models import DAYS
from homeostat_controller.policies.yaml_reader import plain

# Wide enough that no text is folded over lines.
_WIDTH_CHARACTERS = 1 << 20


def to_yaml(policy: Policy) -> str:
    """Return the policy as administrators write it, without its revision and semantics."""
    yaml: Any = YAML(typ="safe", pure=True)  # its attributes are typed as None
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    yaml.width = _WIDTH_CHARACTERS
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(_document(policy), text)
    return text.getvalue()


class _Representer(SafeRepresenter):
    """Quotes every text that our reader would take for something else, and keeps lists of single values on one line."""

    def text(self, value: str) -> ScalarNode:
        quoted = not isinstance(plain(value), str) or value.strip() != value
        return self.represent_scalar("tag:yaml.org,2002:str", value, style='"' if quoted else None)

    def entries(self, value: list[Any]) -> SequenceNode:
        single = not any(isinstance(one, dict | list) for one in value)
        return self.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=single)

    def real(self, value: float) -> ScalarNode:
        written = number(value)
        kind = "int" if written.lstrip("-").isdigit() else "float"
        return self.represent_scalar(f"tag:yaml.org,2002:{kind}", written)


_Representer.add_representer(str, _Representer.text)
_Representer.add_representer(list, _Representer.entries)
_Representer.add_representer(float, _Representer.real)


def _document(policy: Policy) -> dict[str, Any]:
    return _without_empty(
        {
            "name": policy.name,
            "description": policy.description,
            "select": _select(policy.selector),
            "priority": policy.priority or None,
            "not_after": policy.not_after.isoformat() if policy.not_after is not None else None,
            "thresholds": {name: _threshold(one) for name, one in policy.thresholds.items()},
            "playbooks": {name: _playbook(one) for name, one in policy.playbooks.items()},
            "rules": [_rule(one) for one in policy.rules],
        }
    ) | _without_empty(
        {
            "limits": {
                "actions": _budget(policy.limits.actions),
                "failures": _budget(policy.limits.failures),
                "repeats": _budget(policy.limits.repeats),
            },
            "quiet_hours": {name: _quiet_hours(one) for name, one in policy.quiet_hours.items()},
            "waivers": [_waiver(one) for one in policy.waivers],
        }
    )


def _without_empty(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value not in (None, "", [], {})}


def _select(selector: Selector) -> dict[str, Any]:
    return {"labels": _labels(selector)} if selector.matches else {}


def _labels(selector: Selector) -> dict[str, Any]:
    return {key: values[0] if len(values) == 1 else list(values) for key, values in selector.matches.items()}


def _threshold(threshold: Threshold) -> dict[str, Any] | float:
    if threshold.at_least is None and threshold.at_most is None:
        return threshold.value
    ends = {"value": threshold.value, "at_least": threshold.at_least, "at_most": threshold.at_most}
    return _without_empty(ends)


def _playbook(playbook: Playbook) -> dict[str, Any]:
    return _without_empty(
        {
            "action": playbook.action,
            "parameters": dict(playbook.parameters),
            "verifier": playbook.verifier,
            "settle": duration(playbook.settle),
            "verify_within": duration(playbook.verify_within),
        }
    )


def _rule(rule: Rule) -> dict[str, Any]:
    wanted = rule.delegation
    when = {"fault": sorted(map(str, rule.faults)), "subject": list(rule.subjects)}
    optional = {
        "budget": _budget(wanted.budget) if wanted.budget is not None else None,
        "quiet_hours": list(wanted.quiet_hours),
    }
    return {
        "name": rule.name,
        "when": when | _select(rule.selector),
        "do": list(rule.playbooks),
        "level": wanted.level.word,
        "least_confidence": wanted.least_confidence,
        "highest_risk": wanted.highest_risk.word,
    } | _without_empty(optional)


def _budget(budget: Budget) -> dict[str, Any]:
    return {"count": budget.count, "per": duration(budget.period)}


def _quiet_hours(hours: QuietHours) -> dict[str, Any]:
    ends = {"from": _time(hours.start_minute), "to": _time(hours.end_minute)}
    return ends | _without_empty({"days": [DAYS[day - 1] for day in sorted(hours.weekdays)]})


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {
        "name": waiver.name,
        "owner": waiver.owner,
        "reason": waiver.reason,
        "rules": list(waiver.rules),
        "level": waiver.level.word,
        "expires_at": waiver.expires_at.isoformat(),
    } | _without_empty({"select": _select(waiver.selector)})
