"""Pages of a long list, by key and not by offset: a page costs the same however far in it lies.

Invariant: walking `next` visits each row that stays in the list once, whatever is added meanwhile.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Connection, Row, Select, func, literal, select, tuple_

from homeostat_controller.errors import Invalid
from homeostat_controller.store.column_types import kind_of

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
CURSOR_CHARACTERS_MAX = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` rows (1 to LIMIT_MAX), from behind the row that the cursor `after` names."""

    limit: int = LIMIT_DEFAULT
    after: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, how many there are in all under the filter, and the cursor of the next page ("" at the end)."""

    items: tuple[T, ...]
    total: int
    next: str


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that order a list. Together they are unique, none is null, and all are selected."""

    columns: tuple[Column[Any], ...]
    descending: bool = False


def page(
    connection: Connection, statement: Select[Any], order: Order, request: PageRequest, build: Callable[[Row[Any]], T]
) -> Page[T]:
    """Run `statement` for one page.

    Raises Invalid for a limit out of range or a cursor that is none.
    """
    if not 1 <= request.limit <= LIMIT_MAX:
        raise Invalid(f"limit must be from 1 to {LIMIT_MAX}")
    counted = statement.with_only_columns(func.count(), maintain_column_froms=True)
    total = connection.execute(counted).scalar_one()
    rows = connection.execute(_after(statement, order, request.after).limit(request.limit + 1)).all()
    shown = rows[: request.limit]
    more = len(rows) > request.limit
    return Page(tuple(map(build, shown)), total, _cursor(shown[-1], order) if more else "")


def counted(connection: Connection, statement: Select[Any]) -> dict[str, int]:
    """Return how often each value of a one-column statement occurs."""
    values = statement.subquery()
    value = values.c[0]
    return {row[0]: row[1] for row in connection.execute(select(value, func.count()).group_by(value))}


def _after(statement: Select[Any], order: Order, cursor: str) -> Select[Any]:
    ordered = statement.order_by(*(c.desc() if order.descending else c.asc() for c in order.columns))
    if not cursor:
        return ordered
    values = _values(cursor, order)
    left = tuple_(*order.columns)
    right = tuple_(*(literal(value, column.type) for column, value in zip(order.columns, values, strict=True)))
    return ordered.where(left < right if order.descending else left > right)


def _cursor(row: Row[Any], order: Order) -> str:
    known = row._asdict()
    values = [known[column.name] for column in order.columns]
    told = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _values(cursor: str, order: Order) -> Sequence[Any]:
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor[:CURSOR_CHARACTERS_MAX] + "=" * (-len(cursor) % 4)))
        return [_value(kind_of(column), one) for column, one in zip(order.columns, told, strict=True)]
    except (ValueError, TypeError):
        raise Invalid("this cursor is none of this list; start without one") from None


def _value(kind: type[Any], told: Any) -> Any:
    value = datetime.fromisoformat(told) if kind is datetime else told
    if not isinstance(value, kind) or (isinstance(value, datetime) and value.tzinfo is None):
        raise TypeError
    return value


def built(kind: type[T]) -> Callable[[Row[Any]], T]:
    """Return what makes a `kind` of a row whose columns are named as its fields."""
    return lambda row: kind(**row._asdict())
