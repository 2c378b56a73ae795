"""From query parameters to a dataclass that names and types them."""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any

from apexrest.errors import EndpointMisdeclared
from apexrest.json_bodies import JsonValue
from apexrest.parsing import item_of_list, parser_for, without_none
from apexrest.problems import Problems
from apexrest.texts import from_text

__all__ = ["query_parser"]


def query_parser(declared: type, where: str) -> Callable[[Mapping[str, tuple[str, ...]]], Any]:
    """Return what reads query parameters (each with everything it was given) into an instance of `declared`.

    A field that is a list takes a repeated parameter; any other takes one. What is read raises `FieldsRefused`.
    Raises `EndpointMisdeclared` when `declared` is no dataclass of types that one text can fill.
    """
    if not dataclasses.is_dataclass(declared):
        raise EndpointMisdeclared(f"{where} must be a dataclass, not {declared!r}.")
    hints = typing.get_type_hints(declared)
    for name, annotation in hints.items():
        inner = item_of_list(annotation) or without_none(annotation)
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
    item = item_of_list(annotation)
    if item is not None:
        return [from_text(text, without_none(item)) for text in texts]
    return from_text(texts[0], without_none(annotation)) if len(texts) == 1 else list(texts)
