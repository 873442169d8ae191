"""What the tables are made of, so that it means the same on SQLite and PostgreSQL.

The one invariant: a time goes in aware and comes out aware, in UTC, on both.
"""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, Index
from sqlalchemy.orm import declared_attr
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")
# So that every index has one name on both databases, which a migration can speak of.
SQLModel.metadata.naming_convention = {"ix": "ix_%(table_name)s_%(column_0_N_name)s"}


class Record(SQLModel):
    """What all tables share: a name in snake case."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805  # a directive receives the class
        return _WORD_START.sub("_", cls.__name__).lower()


def kind_of(column: ColumnElement[Any]) -> type[Any]:
    """Return what a column's values are in Python."""
    kind = column.type
    return (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type


def indexes(*columns: str) -> tuple[Index, ...]:
    """Return one index for each text of column names, such as "status created_at id"."""
    return tuple(Index(None, *one.split()) for one in columns)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time. SQLite has no zone of its own, so there UTC is stored and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: it would be somebody's local one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)
