"""Values as the REST API gives them, a column at a time: what a page of records costs is mostly this."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from isthmus.objects import catalogue
from isthmus.objects.object_types import FieldKind, FieldType
from isthmus.objects.record_ids import encoder
from isthmus.objects.wire_values import to_wire

__all__ = ["Column", "column_writer", "rest_value", "write_ids"]

Column: TypeAlias = Callable[[Iterable[Any]], list[Any]]
"""Turns what the database gives for a field into what JSON carries."""


def rest_value(field: FieldType, value: Any) -> Any:
    """Return one value as JSON."""
    return column_writer(field)([value])[0]


def column_writer(field: FieldType) -> Column:
    """Return what turns values of this field into JSON.

    Date-times end in `+0000` here, which is the only form that every client takes; an empty text is null.
    """
    if field.type in {FieldKind.ID, FieldKind.REFERENCE} and field.reference_to:
        return write_ids(catalogue.get_object(field.reference_to[0]).key_prefix)
    return _WRITERS.get(field.type) or (lambda values: [to_wire(field, value) for value in values])


def write_ids(key_prefix: str) -> Column:
    """Return what turns primary keys into record ids."""

    def written(values: Iterable[Any]) -> list[Any]:
        encode = encoder(key_prefix)
        # References repeat: the owner of two thousand records is one of a few.
        known: dict[Any, str | None] = {None: None}
        found = []
        for value in values:
            text = known.get(value)
            if text is None and value is not None:
                text = known[value] = encode(value)
            found.append(text)
        return found

    return written


def _texts(values: Iterable[Any]) -> list[Any]:
    return [value or None for value in values]


def _as_they_are(values: Iterable[Any]) -> list[Any]:
    return list(values)


def _numbers(values: Iterable[Any]) -> list[Any]:
    return [None if value is None else float(value) for value in values]


def _moments(values: Iterable[Any]) -> list[Any]:
    # The database may have written them already (`WrittenMoment`).
    return [value if value is None or isinstance(value, str) else _moment(value) for value in values]


def _moment(value: datetime) -> str:
    text = value.isoformat(timespec="milliseconds")
    if text[-6:] != "+00:00":
        text = value.astimezone(UTC).isoformat(timespec="milliseconds")
    return f"{text[:-6]}+0000"


_WRITERS: Mapping[FieldKind, Column] = {
    **dict.fromkeys((kind for kind in FieldKind if kind.is_text), _texts),
    **dict.fromkeys((FieldKind.BOOLEAN, FieldKind.INT, FieldKind.LONG), _as_they_are),
    **dict.fromkeys((FieldKind.DOUBLE, FieldKind.CURRENCY, FieldKind.PERCENT), _numbers),
    FieldKind.DATETIME: _moments,
}
