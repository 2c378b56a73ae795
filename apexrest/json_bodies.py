"""From bytes to plain JSON values, strictly: what two readers could understand differently is refused."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeAlias

from apexrest.errors import BodyUnreadable
from apexrest.problems import Problems, member_path

__all__ = ["JsonValue", "read"]

JsonValue: TypeAlias = Any
"""`None`, `bool`, `int`, `Decimal` (numbers with a fraction or an exponent), `str`, `list`, `dict`."""

# NUL and lone surrogates are JSON, but no database and no UTF-8 answer can hold them.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_SHOWN = 60
_MAX_DIGITS = 400


def read(body: bytes, *, max_depth: int) -> JsonValue:
    """Return the value that `body` holds.

    Raises `BodyUnreadable` for anything but one JSON document in UTF-8 without repeated keys, nested at most
    `max_depth` deep, and `FieldsRefused` for texts that cannot be kept.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BodyUnreadable(f"The request body is not UTF-8: byte {error.start} is invalid.") from error
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_fraction, parse_int=_integer, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise BodyUnreadable(f"{error.msg} at [line:{error.lineno}, column:{error.colno}]") from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    _check(value, max_depth)
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        shown = _shown(repeated)
        raise BodyUnreadable(f'The key "{shown}" appears more than once in an object.', fields=[shown])
    return found


def _fraction(digits: str) -> Decimal:
    # Kept exact; each field's own type decides what it takes. Absurd exponents would cost memory later.
    try:
        value = Decimal(digits)
    except InvalidOperation:
        raise _out_of_range(digits) from None
    if len(digits) > _MAX_DIGITS or abs(value.adjusted()) > _MAX_DIGITS:
        raise _out_of_range(digits)
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _out_of_range(digits)
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise BodyUnreadable(f"{name} is not a JSON value.")


def _check(value: JsonValue, max_depth: int) -> None:
    """Walk everything once, without recursion."""
    problems = Problems()
    waiting: list[tuple[JsonValue, str, int]] = [(value, "", 1)]
    while waiting:
        current, path, depth = waiting.pop()
        if isinstance(current, str):
            if _NO_TEXT.search(current):
                problems.add(path, "holds a character that is not text")
        elif isinstance(current, list | dict):
            if depth > max_depth:
                raise _too_deep(max_depth)
            waiting.extend((below, below_path, depth + 1) for below, below_path in _members(current, path, problems))
    problems.raise_if_any()


def _members(value: JsonValue, path: str, problems: Problems) -> list[tuple[JsonValue, str]]:
    if isinstance(value, Mapping):
        for key in value:
            if _NO_TEXT.search(key):
                problems.add(path, "has a key with a character that is not text")
        return [(below, member_path(path, key)) for key, below in value.items() if isinstance(below, str | list | dict)]
    return [
        (below, f"{path}[{position}]") for position, below in enumerate(value) if isinstance(below, str | list | dict)
    ]


def _shown(key: str) -> str:
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", key[:_SHOWN])


def _out_of_range(digits: str) -> BodyUnreadable:
    return BodyUnreadable(f"The number {digits[:_SHOWN]}{'…' if len(digits) > _SHOWN else ''} is out of range.")


def _too_deep(max_depth: int) -> BodyUnreadable:
    return BodyUnreadable(f"The request body is nested more than {max_depth} levels deep.")
