"""What a list is narrowed to, as values, and how that becomes SQL; the same words for every list.

Invariant: a value never reaches SQL as text of the statement, and a condition on an unknown field is an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, not_, or_

from homeostat_controller.errors import Invalid
from homeostat_controller.store.column_types import kind_of
from homeostat_controller.store.database import table
from homeostat_controller.store.tables import EndpointLabel

LABEL_PREFIX = "label."
CONDITIONS_MAX = 20
_LABELS = table(EndpointLabel)

Value = str | float | datetime


class Test(StrEnum):
    """How a field is held against a value."""

    IS = "="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` must pass `test` for one of the values, or for none where negated.

    Texts compare without regard to case, and `*` in them stands for any characters. An empty field is a word looked for
    in the list's most telling fields.
    """

    field: str
    values: tuple[Value, ...]
    test: Test = Test.IS
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions must hold. `organisation_id` is the asker's scope; "" means all organisations."""

    conditions: tuple[Condition, ...] = ()
    organisation_id: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """A list's fields by name, which of them a bare word searches, and the columns of its endpoint and organisation."""

    columns: Mapping[str, ColumnElement[Any]]
    words: tuple[str, ...]
    endpoint_id: ColumnElement[Any]
    organisation_id: ColumnElement[Any]


def narrowed(statement: Select[Any], wanted: Filter, fields: Fields) -> Select[Any]:
    """Return `statement` with the filter's conditions.

    Raises Invalid for an unknown field, a value of the wrong kind and more than CONDITIONS_MAX conditions.
    """
    if len(wanted.conditions) > CONDITIONS_MAX:
        raise Invalid(f"a filter may have {CONDITIONS_MAX} conditions, not {len(wanted.conditions)}")
    if wanted.organisation_id:
        statement = statement.where(fields.organisation_id == wanted.organisation_id)
    for condition in wanted.conditions:
        holds = or_(false(), *(_holds(condition, value, fields) for value in condition.values))
        statement = statement.where(not_(holds) if condition.negated else holds)
    return statement


def _holds(condition: Condition, value: Value, fields: Fields) -> ColumnElement[bool]:
    if not condition.field:
        return or_(*(fields.columns[name].icontains(str(value), autoescape=True) for name in fields.words))
    if condition.field.startswith(LABEL_PREFIX):
        same = and_(
            _LABELS.c.endpoint_id == fields.endpoint_id,
            _LABELS.c.key == condition.field.removeprefix(LABEL_PREFIX),
            _text(_LABELS.c.value, value),
        )
        return exists().where(same)
    column = fields.columns.get(condition.field)
    if column is None:
        raise Invalid(f"there is no field {condition.field!r} to filter by; there are {', '.join(fields.columns)}")
    if isinstance(value, str):
        return _known(_text(column, value))
    # A moment is no number: on PostgreSQL the comparison itself would fail.
    if kind_of(column) is str or (kind_of(column) is datetime) is not isinstance(value, datetime):
        raise Invalid(f"{condition.field} cannot be compared with {value}")
    return _known(_TESTS[condition.test](column, value))


def _known(comparison: ColumnElement[bool]) -> ColumnElement[bool]:
    # Without this an absent value would be neither true nor false, and its row in no answer.
    return func.coalesce(comparison, false())


def _text(column: ColumnElement[Any], value: Value) -> ColumnElement[bool]:
    pattern = str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return column.ilike(pattern, escape="\\")


_TESTS: Mapping[Test, Callable[[ColumnElement[Any], Value], ColumnElement[bool]]] = {
    Test.IS: lambda column, value: column == value,
    Test.BELOW: lambda column, value: column < value,
    Test.AT_MOST: lambda column, value: column <= value,
    Test.ABOVE: lambda column, value: column > value,
    Test.AT_LEAST: lambda column, value: column >= value,
}
