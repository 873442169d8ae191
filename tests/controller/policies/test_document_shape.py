from typing import Any

import pytest

from homeostat_controller.policies.document_shape import shaped, touches
from homeostat_controller.policies.yaml_reader import Reading, read


def told(data: Any) -> list[tuple[tuple[str | int, ...], str]]:
    _, problems = shaped(Reading(whole=True, data=data))
    return [(one.path, one.sentence) for one in problems]


def test_a_document_that_fits_has_no_misfits() -> None:
    document, problems = shaped(Reading(whole=True, data={"name": "x"}))
    assert document is not None
    assert problems == []


@pytest.mark.parametrize("data", [None, [], "x", 5, True])
def test_what_is_no_mapping_has_no_document(data: Any) -> None:
    document, problems = shaped(Reading(whole=True, data=data))
    assert document is None
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("data", "path", "sentence"),
    [
        ({"name": 5}, ("name",), "must be a text; put it in quotes"),
        ({"name": None}, ("name",), "has no value; write one, or remove the key"),
        ({"name": ["x"]}, ("name",), "must be a text"),
        ({"name": "x", "rules": {}}, ("rules",), "must be a list; begin each entry with '- '"),
        ({"name": "x", "rules": "none"}, ("rules",), "must be a list"),
        ({"name": "x", "rules": ["none"]}, ("rules", 0), "must be a mapping of keys to values"),
        ({"name": "x", "playbooks": ["none"]}, ("playbooks",), "must be a mapping of keys to values"),
        ({"name": "x", "playbooks": {"a": "restart"}}, ("playbooks", "a"), "must be a mapping of keys to values"),
        ({"name": "x", "priority": "1"}, ("priority",), "must be a whole number; write it without quotes or unit"),
        ({"name": "x", "priority": "high"}, ("priority",), "must be a whole number"),
        ({"name": "x", "priority": True}, ("priority",), "must be a whole number"),
        ({"name": "x", "select": {"env": "prod"}}, ("select", "env"), "no key is called 'env'; there are: labels"),
        (
            {"name": "x", "limits": {"actions": {"cont": 1, "per": "1h"}}},
            ("limits", "actions", "cont"),
            "no key is called 'cont' (did you mean 'count'?); there are: count, per",
        ),
        (
            {"name": "x", "quiet_hours": {"n": {"form": "1:00", "to": "2:00"}}},
            ("quiet_hours", "n", "form"),
            "no key is called 'form' (did you mean 'from'?); there are: from, to, days",
        ),
        (
            {"name": "x", "thresholds": {"disk_used_percent": {"value": float("nan")}}},
            ("thresholds", "disk_used_percent", "value"),
            "must be a finite number",
        ),
        (
            {"name": "x", "waivers": [{"name": "w", "owner": "o", "reason": "r", "rules": "a", "level": "ask"}]},
            ("waivers", 0, "expires_at"),
            "'expires_at' is missing here (such as 2030-01-31T00:00:00Z)",
        ),
    ],
)
def test_a_misfit(data: Any, path: tuple[str | int, ...], sentence: str) -> None:
    assert told(data) == [(path, sentence)]


def test_every_misfit_is_told_once_and_stand_ins_are_not_complained_about() -> None:
    data = {
        "playbooks": {"a": 5, "b": {"action": 5, "parameters": {"grace": "x"}}, "action": []},
        "rules": [5, {"name": 5, "when": 5, "do": [5, "a", 6], "budget": {}}, {"when": {"subject": {}}}],
        "waivers": [None],
        "quiet_hours": {"from": 5},
        "limits": {"actions": 5},
    }
    assert sorted(str(path) for path, _ in told(data)) == sorted(
        str(path)
        for path in [
            ("name",),
            ("playbooks", "a"),
            ("playbooks", "action"),
            ("playbooks", "b", "action"),
            ("playbooks", "b", "parameters", "grace"),
            ("rules", 0),
            ("rules", 1, "name"),
            ("rules", 1, "when"),
            ("rules", 1, "level"),
            ("rules", 1, "do", 0),
            ("rules", 1, "do", 2),
            ("rules", 1, "budget", "count"),
            ("rules", 1, "budget", "per"),
            ("rules", 2, "name"),
            ("rules", 2, "level"),
            ("rules", 2, "when", "fault"),
            ("rules", 2, "when", "subject"),
            ("waivers", 0),
            ("quiet_hours", "from"),
            ("limits", "actions"),
        ]
    )


def test_the_stand_ins_keep_their_places() -> None:
    data = {"name": "x", "rules": [5, {"name": "r", "when": {"fault": [], "subject": []}, "level": "observe"}]}
    document, _ = shaped(Reading(whole=True, data=data))
    assert document is not None
    assert [rule.name for rule in document.rules] == ["", "r"]


def test_a_misspelt_key_is_not_told_as_missing_too() -> None:
    assert [path for path, _ in told({"nme": "x"})] == [("nme",)]


def test_what_was_not_readable_is_not_told_again() -> None:
    reading = read("name: *other\n")
    assert shaped(reading)[1] == []


def test_touching_paths() -> None:
    assert touches(("a", 1), ("a", 1, "b"))
    assert touches(("a", 1, "b"), ("a",))
    assert touches((), ("a",))
    assert not touches(("a", 1), ("a", 2, "b"))
