"""From plain JSON values to the types that an endpoint's method names.

A parser is made once for each annotation, when the class is declared. It is strict: a text is no number, a number is no
flag, what is not asked for is a mistake. Everything that is wrong is gathered, with its path.
"""

import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TypeAlias, Union

from apexrest.errors import EndpointMisdeclared
from apexrest.json_bodies import JsonValue
from apexrest.problems import Problems, member_path

__all__ = ["REFUSED", "Parse", "field_names", "is_optional", "item_of_list", "parser_for", "without_none"]

Parse: TypeAlias = Callable[[JsonValue, str, Problems], Any]
"""Returns the parsed value, or `REFUSED` after saying why."""

REFUSED: Any = object()

_INTEGER_RANGE = range(-(2**63), 2**63)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:?[0-9]{2})?")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")


def parser_for(annotation: Any, where: str, known: dict[type, "Parse"] | None = None) -> Parse:
    """Return the parser of an annotation. Raises `EndpointMisdeclared`, naming `where` it stands, for a foreign one.

    Known are: `str, int, float, bool, Decimal, date, datetime, Any`, enums, `Literal`, `list[…]`, `dict[str, …]`,
    `… | None`, and dataclasses of these, which may contain themselves.
    """
    known = {} if known is None else known
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if annotation is Any or annotation is object:
        return _anything
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _enum_parser(annotation, where)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _dataclass_parser(annotation, where, known)
    return _generic_parser(annotation, where, known)


def is_optional(annotation: Any) -> bool:
    """Return whether the annotation takes `None`."""
    return typing.get_origin(annotation) in (Union, types.UnionType) and type(None) in typing.get_args(annotation)


def without_none(annotation: Any) -> Any:
    """Return the annotation without the `None` that it takes beside another type."""
    if not is_optional(annotation):
        return annotation
    (inner, *_) = (part for part in typing.get_args(annotation) if part is not type(None))
    return inner


def item_of_list(annotation: Any) -> Any:
    """Return the annotation of the items where `annotation` is a list, or an optional one; `None` where it is not."""
    inner = without_none(annotation)
    return typing.get_args(inner)[0] if typing.get_origin(inner) is list else None


def field_names(annotation: Any) -> frozenset[str]:
    """Return the keys of the objects that the annotation describes, if it is a dataclass (or an optional one)."""
    if is_optional(annotation):
        return frozenset().union(*(field_names(part) for part in typing.get_args(annotation)))
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return frozenset(field.name for field in dataclasses.fields(annotation) if field.init)
    return frozenset()


def _generic_parser(annotation: Any, where: str, known: dict[type, Parse]) -> Parse:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _choice_parser({_strict(value): value for value in arguments})
    if origin is list:
        return _list_parser(parser_for(arguments[0], f"{where}[]", known))
    if origin is dict and arguments[0] is str:
        return _dict_parser(parser_for(arguments[1], f"{where}.*", known))
    if is_optional(annotation) and len(arguments) == 2:
        return _optional_parser(parser_for(without_none(annotation), where, known))
    raise EndpointMisdeclared(
        f"{where} has the type {annotation!r}, which cannot be read from JSON. Known are str, int, float, bool, "
        "Decimal, date, datetime, Any, enums, Literal, list[…], dict[str, …], … | None, and dataclasses of these."
    )


def _text(value: JsonValue, path: str, problems: Problems) -> Any:
    return value if isinstance(value, str) else _wrong(value, "a text", path, problems)


def _flag(value: JsonValue, path: str, problems: Problems) -> Any:
    return value if isinstance(value, bool) else _wrong(value, "true or false", path, problems)


def _integer(value: JsonValue, path: str, problems: Problems) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return _wrong(value, "a whole number", path, problems)
    return value if value in _INTEGER_RANGE else _refused("is out of range", path, problems)


def _number(value: JsonValue, path: str, problems: Problems) -> Any:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return _wrong(value, "a number", path, problems)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else _refused("is out of range", path, problems)


def _decimal(value: JsonValue, path: str, problems: Problems) -> Any:
    """Take a number, or a text of one: many clients can keep the digits of a price only as text."""
    if isinstance(value, str):
        return Decimal(value) if _DECIMAL.fullmatch(value) else _refused("must be a decimal number", path, problems)
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return _wrong(value, "a decimal number", path, problems)
    return Decimal(value)


def _date(value: JsonValue, path: str, problems: Problems) -> Any:
    if not isinstance(value, str):
        return _wrong(value, "a date", path, problems)
    if not _DATE.fullmatch(value):
        return _refused("must be a date: YYYY-MM-DD", path, problems)
    try:
        return date.fromisoformat(value)
    except ValueError:
        return _refused("is not a day of the calendar", path, problems)


def _moment(value: JsonValue, path: str, problems: Problems) -> Any:
    if not isinstance(value, str):
        return _wrong(value, "a time", path, problems)
    matched = _MOMENT.fullmatch(value)
    if matched is None:
        return _refused("must be a time: YYYY-MM-DDTHH:MM:SS and Z or ±HH:MM", path, problems)
    if not matched[2]:
        return _refused("needs an offset from UTC (Z or ±HH:MM)", path, problems)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return _refused("is not a time of the calendar", path, problems)


def _anything(value: JsonValue, _path: str, _problems: Problems) -> Any:
    return value


_SIMPLE: Mapping[Any, Parse] = {
    str: _text,
    bool: _flag,
    int: _integer,
    float: _number,
    Decimal: _decimal,
    date: _date,
    datetime: _moment,
}


def _optional_parser(inner: Parse) -> Parse:
    def parse(value: JsonValue, path: str, problems: Problems) -> Any:
        return None if value is None else inner(value, path, problems)

    return parse


def _list_parser(inner: Parse) -> Parse:
    def parse(value: JsonValue, path: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            return _wrong(value, "an array", path, problems)
        parsed = [inner(item, f"{path}[{position}]", problems) for position, item in enumerate(value)]
        return REFUSED if any(item is REFUSED for item in parsed) else parsed

    return parse


def _dict_parser(inner: Parse) -> Parse:
    def parse(value: JsonValue, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            return _wrong(value, "an object", path, problems)
        parsed = {key: inner(item, member_path(path, key), problems) for key, item in value.items()}
        return REFUSED if any(item is REFUSED for item in parsed.values()) else parsed

    return parse


def _enum_parser(annotation: type[Enum], where: str) -> Parse:
    for member in annotation:
        if not isinstance(member.value, str | int):
            raise EndpointMisdeclared(f"{where}: {annotation.__qualname__}.{member.name} is neither text nor a number.")
    return _choice_parser({_strict(member.value): member for member in annotation})


def _choice_parser(choices: Mapping[tuple[type, Any], Any]) -> Parse:
    if any(not isinstance(value, str | int | None) for _, value in choices):
        raise EndpointMisdeclared("A Literal of an endpoint holds texts, whole numbers, flags or None.")
    told = ", ".join(_as_json(value) for _, value in choices)

    def parse(value: JsonValue, path: str, problems: Problems) -> Any:
        try:
            return choices[_strict(value)]
        except (KeyError, TypeError):
            return _refused(f"must be one of {told}", path, problems)

    return parse


def _strict(value: Any) -> tuple[type, Any]:
    """Return a key under which 1, true and 1.0 are three values."""
    # An enum's text may be of a subclass; JSON knows only the plain kinds.
    kind = next((kind for kind in (bool, int, str) if isinstance(value, kind)), type(value))
    return kind, value


def _dataclass_parser(cls: type, where: str, known: dict[type, Parse]) -> Parse:
    if cls in known:
        # The class contains itself: its parser is looked up when it is needed.
        return lambda value, path, problems: known[cls](value, path, problems)
    known[cls] = _anything
    fields = [field for field in dataclasses.fields(cls) if field.init]
    if {field.name for field in fields} != set(inspect.signature(cls).parameters):
        raise EndpointMisdeclared(f"{where}: {cls.__qualname__} takes arguments that are not its fields (InitVar?).")
    hints = typing.get_type_hints(cls)
    parsers = {field.name: parser_for(hints[field.name], f"{where}.{field.name}", known) for field in fields}
    required = [field.name for field in fields if _is_required(field)]

    def parse(value: JsonValue, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            return _wrong(value, "an object", path, problems)
        parsed = parse_members(value, parsers, required, path, problems)
        return REFUSED if parsed is REFUSED else _constructed(cls, parsed, path, problems)

    known[cls] = parse
    return parse


def parse_members(
    value: Mapping[str, JsonValue], parsers: Mapping[str, Parse], required: list[str], path: str, problems: Problems
) -> Any:
    """Return the members of an object, each by its parser, or `REFUSED`. Unknown and missing ones are problems."""
    parsed: dict[str, Any] = {}
    for key, item in value.items():
        if key in parsers:
            parsed[key] = parsers[key](item, member_path(path, key), problems)
        else:
            problems.add(member_path(path, key), "is not known here")
            parsed[key] = REFUSED
    missing = [name for name in required if name not in value]
    for name in missing:
        problems.add_missing(member_path(path, name))
    return REFUSED if missing or any(item is REFUSED for item in parsed.values()) else parsed


def _constructed(cls: type, parsed: Mapping[str, Any], path: str, problems: Problems) -> Any:
    try:
        return cls(**parsed)
    except ValueError as error:
        # The class's own rule, in its `__post_init__`; the author wrote the sentence for the caller.
        return _refused(f"is refused: {error}", path, problems)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _wrong(value: JsonValue, wanted: str, path: str, problems: Problems) -> Any:
    # Names the kind, never the value: it may be what must not be logged.
    return _refused(f"must be {wanted}, not {_kind_of(value)}", path, problems)


def _refused(text: str, path: str, problems: Problems) -> Any:
    problems.add(path, text)
    return REFUSED


def _kind_of(value: JsonValue) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {str: "a text", int: "a whole number", Decimal: "a fraction", list: "an array", dict: "an object"}
    return kinds[type(value)]


def _as_json(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int) else f'"{value}"'
