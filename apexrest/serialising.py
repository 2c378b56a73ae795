"""From what a method returns to the JSON of the answer."""

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from apexrest.errors import AnswerUnserialisable

__all__ = ["dumps", "to_json"]


def dumps(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8. Raises `AnswerUnserialisable`."""
    return json.dumps(to_json(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def to_json(value: Any, path: str = "") -> Any:
    """Return plain JSON values for dataclasses, enums, times and decimals, nested as they are.

    Raises `AnswerUnserialisable`, naming the place, for anything else.
    """
    if isinstance(value, Enum):
        return to_json(value.value, path)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, float):
        return value if math.isfinite(value) else _refuse(path, "a number that JSON does not have")
    if isinstance(value, Decimal):
        return _decimal(value, path)
    if isinstance(value, datetime):
        return _moment(value, path)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return _container(value, path)


def _container(value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name), f"{path}.{field.name}")
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {_key(key, path): to_json(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item, f"{path}[{position}]") for position, item in enumerate(value)]
    return _refuse(path, f"a {type(value).__qualname__}")


def _key(key: Any, path: str) -> str:
    plain = key.value if isinstance(key, Enum) else key
    return (
        _text(plain, path) if isinstance(plain, str) else _refuse(path, f"a key that is a {type(plain).__qualname__}")
    )


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(path, "a text with half a character (a lone surrogate)")
    return value


def _decimal(value: Decimal, path: str) -> Any:
    """Return a number where the usual reader, who takes it for a double, gets the same digits; a text otherwise."""
    if not value.is_finite():
        return _refuse(path, "a number that JSON does not have")
    if abs(value.adjusted()) > 300:
        return str(value)
    if value == value.to_integral_value() and abs(value) <= 2**53:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _moment(value: datetime, path: str) -> str:
    """Return the only form that every Salesforce client takes for a time: `2026-01-31T12:00:00.000+0000`."""
    if value.tzinfo is None:
        return str(_refuse(path, "a time without a time zone"))
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _refuse(path: str, what: str) -> Any:
    raise AnswerUnserialisable(f"The answer{path} is {what}, which cannot be written as JSON.")
