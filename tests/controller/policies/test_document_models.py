from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.policy import Budget, Limits, Policy
from homeostat_controller.policies.document_models import (
    BudgetDocument,
    LimitsDocument,
    PlaybookDocument,
    PolicyDocument,
    QuietHoursDocument,
    RuleDocument,
    SelectDocument,
    WaiverDocument,
)


def sentence(shape: Any, data: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        shape.model_validate(data)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("7us", timedelta(microseconds=7)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_duration(written: str, meant: timedelta) -> None:
    assert PlaybookDocument.model_validate({"action": "a", "settle": written}).settle == meant


@pytest.mark.parametrize("written", ["", "s", "1.5h", "1 h", "-1s", "1w", "٣s", 1.5, True, None, ["1s"]])
def test_no_duration(written: Any) -> None:
    assert sentence(PlaybookDocument, {"action": "a", "settle": written}).endswith("30s, 10m, 1h or 7d")


def test_a_number_is_taken_for_forgotten_seconds() -> None:
    assert sentence(PlaybookDocument, {"action": "a", "settle": 30}).endswith("did you mean 30s?")


def test_a_duration_beyond_all_durations() -> None:
    assert sentence(BudgetDocument, {"count": 1, "per": "999999999d999999999d"}) == "is longer than any duration can be"


@pytest.mark.parametrize(("written", "meant"), [("00:00", 0), ("9:05", 545), ("23:59", 1439), ("24:00", 1440)])
def test_a_time_of_day(written: str, meant: int) -> None:
    assert QuietHoursDocument.model_validate({"from": written, "to": written}).to == meant


@pytest.mark.parametrize("written", ["24:01", "12:60", "99:99", "9", "9:5", "10pm", 22, None, "-1:00"])
def test_no_time_of_day(written: Any) -> None:
    assert sentence(QuietHoursDocument, {"from": written, "to": "00:00"}) == 'must be a time of day such as "22:00"'


def test_days() -> None:
    days = QuietHoursDocument.model_validate({"from": "1:00", "to": "2:00", "days": ["mon", "sun"]}).days
    assert days == [1, 7]
    assert QuietHoursDocument.model_validate({"from": "1:00", "to": "2:00", "days": "sat"}).days == [6]


@pytest.mark.parametrize("day", ["monday", 1, ["mon"], None, {}])
def test_no_day(day: Any) -> None:
    assert "there are: mon, tue" in sentence(QuietHoursDocument, {"from": "1:00", "to": "2:00", "days": [day]})


WAIVER = {"name": "w", "owner": "o", "reason": "r", "rules": "a", "level": "ask", "expires_at": "2030-01-31T00:00:00Z"}


def test_a_waiver() -> None:
    waiver = WaiverDocument.model_validate(WAIVER).waiver()
    assert waiver.expires_at == datetime(2030, 1, 31, tzinfo=UTC)
    assert waiver.rules == ("a",)


@pytest.mark.parametrize("moment", ["2030-01-31", "tomorrow, at noon", 2030, None, "2030-13-31T00:00:00Z"])
def test_no_moment(moment: Any) -> None:
    assert sentence(WaiverDocument, WAIVER | {"expires_at": moment}).startswith("must be a date and time with its zone")


def rule(**changes: Any) -> dict[str, Any]:
    return {"name": "r", "when": {"fault": "disk-full", "subject": "folder:*"}, "level": "observe"} | changes


@pytest.mark.parametrize("level", [4, None, ["act"], "act, ask", "Act", ""])
def test_no_level(level: Any) -> None:
    assert "act" in sentence(RuleDocument, rule(level=level))


def test_one_text_that_should_be_a_list() -> None:
    told = sentence(RuleDocument, rule(when={"fault": "disk-full, memory-leak", "subject": "*"}))
    assert told.endswith("write a list: [disk-full, memory-leak]")


@pytest.mark.parametrize("fault", [5, None, True])
def test_no_fault(fault: Any) -> None:
    told = sentence(RuleDocument, rule(when={"fault": [fault], "subject": "*"}))
    assert told.startswith("must be a fault; there are: service-down")


@pytest.mark.parametrize("value", [True, "90", [90]])
def test_a_threshold_is_a_number_or_a_mapping(value: Any) -> None:
    told = sentence(PolicyDocument, {"name": "x", "thresholds": {"disk_used_percent": value}})
    assert told.startswith("must be a number without unit")


def test_limits_left_out_have_their_defaults() -> None:
    limits = LimitsDocument.model_validate({"actions": {"count": 1, "per": "1h"}}).limits()
    assert limits == Limits(actions=Budget(1, timedelta(hours=1)))


def test_labels_may_have_one_value_or_several() -> None:
    selector = SelectDocument.model_validate({"labels": {"env": "prod", "site": ["a", "b"]}}).selector()
    assert selector.matches == {"env": ("prod",), "site": ("a", "b")}


def test_what_is_left_out_is_as_in_the_domain() -> None:
    assert PolicyDocument.model_validate({"name": "x"}).policy() == Policy("x")
    domain = Policy("x").limits
    assert RuleDocument.model_validate(rule()).rule().delegation.budget is None
    assert domain == Limits()


def test_there_is_a_schema_for_editors() -> None:
    schema = PolicyDocument.model_json_schema()
    assert schema["required"] == ["name"]
    assert set(schema["$defs"]["RuleDocument"]["required"]) == {"name", "when", "level"}
