"""From texts, which is all that a query or an XML document holds, to the JSON values that they stand for."""

import re
import typing
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

from apexrest.json_bodies import JsonValue

__all__ = ["from_text"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def from_text(text: str, annotation: Any, *, numbers: "re.Pattern[str]" = _NUMBER) -> JsonValue:
    """Return what `text` means to an annotation of one value; a text that means nothing to it stays as it is.

    `numbers`: how a fraction is written; what matches must be one to `Decimal`.
    """
    if annotation is bool:
        return _FLAGS.get(text.lower(), text)
    if annotation is int:
        return int(text) if _INTEGER.fullmatch(text) else text
    if annotation in (float, Decimal):
        return Decimal(text) if numbers.fullmatch(text) else text
    for choice in _choices(annotation):
        if isinstance(choice, bool | int) and text == str(choice).lower():
            return choice
    return text


def _choices(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return ()
