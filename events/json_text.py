"""A column of JSON that is kept as the text it came as: no database parses it, and keys stay in their order."""

from typing import TYPE_CHECKING, Any

import msgspec
from django.db import models

__all__ = ["JsonTextField", "decode", "encode"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode(value: Any) -> str:
    """Return `value` as JSON without blanks."""
    return _encoder.encode(value).decode()


def decode(text: str) -> Any:
    """Return what a JSON text holds."""
    return _decoder.decode(text)


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class JsonTextField(_TextField):
    """Holds what JSON can hold, in a column of text."""

    if TYPE_CHECKING:
        # What the type checker's plugin reads.
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return None if value is None else decode(value)

    def to_python(self, value: Any) -> Any:
        return decode(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encode(value)
