"""From the text in a search box to what the store narrows a list by: ages become moments."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from homeostat_controller.api.filter_language import Field, Operator, Term, Value, parse
from homeostat_controller.store.conditions import Condition, Filter, Test
from homeostat_controller.store.conditions import Value as StoredValue

_TESTS: Mapping[Operator, Test] = MappingProxyType(
    {
        Operator.IS: Test.IS,
        Operator.BELOW: Test.BELOW,
        Operator.AT_MOST: Test.AT_MOST,
        Operator.ABOVE: Test.ABOVE,
        Operator.AT_LEAST: Test.AT_LEAST,
    }
)
# Younger than an hour means: at a moment after the one an hour ago.
_AGE_TESTS: Mapping[Operator, Test] = MappingProxyType(
    {
        Operator.BELOW: Test.ABOVE,
        Operator.AT_MOST: Test.AT_LEAST,
        Operator.ABOVE: Test.BELOW,
        Operator.AT_LEAST: Test.AT_MOST,
    }
)


def selection(text: str, fields: tuple[Field, ...], now: datetime) -> Filter:
    """Return what a list is narrowed to.

    Raises FilterError for a text that cannot be read.
    """
    return Filter(tuple(_condition(term, now) for term in parse(text, fields).terms))


def _condition(term: Term, now: datetime) -> Condition:
    is_age = any(isinstance(value, timedelta) for value in term.values)
    test = (_AGE_TESTS if is_age else _TESTS)[term.operator]
    return Condition(term.field, tuple(_value(value, now) for value in term.values), test, term.negated)


def _value(value: Value, now: datetime) -> StoredValue:
    return now - value if isinstance(value, timedelta) else value
