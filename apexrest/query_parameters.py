"""From query parameters to a dataclass that names and types them."""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from apexrest.errors import EndpointMisdeclared
from apexrest.json_bodies import JsonValue
from apexrest.parsing import is_optional, parser_for
from apexrest.problems import Problems

__all__ = ["query_parser"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def query_parser(declared: type, where: str) -> Callable[[Mapping[str, tuple[str, ...]]], Any]:
    """Return what reads query parameters (each with everything it was given) into an instance of `declared`.

    A field that is a list takes a repeated parameter; any other takes one. What is read raises `FieldsRefused`.
    Raises `EndpointMisdeclared` when `declared` is no dataclass of types that one text can fill.
    """
    if not dataclasses.is_dataclass(declared):
        raise EndpointMisdeclared(f"{where} must be a dataclass, not {declared!r}.")
    hints = typing.get_type_hints(declared)
    for name, annotation in hints.items():
        inner = _item_of(annotation)
        if dataclasses.is_dataclass(inner) or typing.get_origin(inner) in (list, dict):
            raise EndpointMisdeclared(f"{where}.{name} is nested; a query parameter is one text, or a list of them.")
    parse = parser_for(declared, where)

    def read(given: Mapping[str, tuple[str, ...]]) -> Any:
        problems = Problems()
        values = {name: _value(texts, hints.get(name, str)) for name, texts in given.items()}
        parsed = parse(values, "", problems)
        problems.raise_if_any()
        return parsed

    return read


def _value(texts: tuple[str, ...], annotation: Any) -> JsonValue:
    if _is_list(annotation):
        return [_scalar(text, _item_of(annotation)) for text in texts]
    return _scalar(texts[0], _item_of(annotation)) if len(texts) == 1 else list(texts)


def _scalar(text: str, annotation: Any) -> JsonValue:
    if annotation is bool:
        return _FLAGS.get(text.lower(), text)
    if annotation is int and _INTEGER.fullmatch(text):
        return int(text)
    if annotation in (float, Decimal) and _NUMBER.fullmatch(text):
        return Decimal(text)
    return text


def _is_list(annotation: Any) -> bool:
    return any(typing.get_origin(part) is list for part in _parts(annotation))


def _item_of(annotation: Any) -> Any:
    (part, *_) = (part for part in _parts(annotation) if part is not type(None))
    return typing.get_args(part)[0] if typing.get_origin(part) is list else part


def _parts(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if is_optional(annotation) else (annotation,)
