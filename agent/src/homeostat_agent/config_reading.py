"""A TOML file → values of the frozen classes that describe it, by their types alone.

A missing field takes its default, an unknown one is an error, and every error says where. Nothing here knows what a
setting means; that is checked by whoever owns the classes.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

FILE_BYTES_MAX = 1 << 20
INTEGER_MAX = (1 << 63) - 1

T = TypeVar("T")


class ConfigError(Exception):
    """The configuration cannot be used; the message says where and why."""


def read(path: Path, kind: type[T]) -> T:
    """Return what a file says, as a `kind`. Raises ConfigError with the field, and OSError as the file system does."""
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"is above {FILE_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, or a number of thousands of digits
        raise ConfigError(str(error)) from error
    built: T = _build(kind, document, "")
    return built


def _build(kind: Any, value: Any, where: str) -> Any:  # walks the types of the classes above
    if hasattr(kind, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: must be a table")
        return _build_table(kind, value, where)
    origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: must be a list")
        return tuple(_build(get_args(kind)[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: must be a table of texts")
        return {key: _scalar(str, one, _join(where, key)) for key, one in value.items()}
    return _scalar(kind, value, where)


def _build_table(kind: Any, table: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        known = ", ".join(sorted(hints))
        raise ConfigError(f"{_join(where, unknown[0])}: no such setting (known here: {known})")
    values = {name: _build(hints[name], one, _join(where, name)) for name, one in table.items()}
    needed = [one.name for one in fields(kind) if one.name not in values and _has_no_default(one)]
    if needed:
        raise ConfigError(f"{where}: lacks {', '.join(needed)}")
    return kind(**values)


def _has_no_default(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _scalar(kind: type | UnionType, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) <= INTEGER_MAX else math.inf
    if isinstance(value, str) and not value.isprintable():
        raise ConfigError(f"{where}: has a character that cannot be shown")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: must be a finite number")
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise ConfigError(f"{where}: is too large a number")
    if (kind is bool or not isinstance(value, bool)) and isinstance(value, kind):
        return value
    name = getattr(kind, "__name__", str(kind))
    word = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}.get(name, name)
    raise ConfigError(f"{where}: must be {word}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
