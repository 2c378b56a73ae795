"""Turns the literals of a query into values of the field that they are compared with."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from isthmus import clock
from isthmus.objects import catalogue
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import FieldKind, FieldType
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, decode
from records.soql import relative_dates
from records.soql.errors import InvalidField, InvalidFilter, MalformedQuery
from records.soql.statements import Literal, LiteralKind
from records.soql.texts import unescaped

__all__ = ["NOTHING", "as_span", "as_value"]

NOTHING = object()
"""A value that no record has: the id of another kind of record, a number beyond the column's range."""

_EXPECTED = {
    FieldKind.BOOLEAN: (LiteralKind.BOOLEAN, "boolean and should not be enclosed in quotes"),
    FieldKind.DATE: (LiteralKind.DATE, "date and should not be enclosed in quotes"),
    FieldKind.DATETIME: (LiteralKind.DATETIME, "dateTime and should not be enclosed in quotes"),
    FieldKind.TIME: (LiteralKind.TIME, "time and should not be enclosed in quotes"),
}
_LARGEST = 2**63 - 1


def as_value(field: FieldType, literal: Literal) -> Any:
    """Return the value: `None` for null and for an empty text, `NOTHING` for one that no record has.

    Raises `InvalidField` when the literal is of another type than the field, `InvalidFilter` for a text that is no id.
    """
    if literal.kind is LiteralKind.NULL:
        return None
    if field.type in {FieldKind.ID, FieldKind.REFERENCE}:
        return _primary_key(field, literal)
    if field.type.is_number:
        return _number(field, literal)
    kind, told = _EXPECTED.get(field.type, (LiteralKind.STRING, "string and should be enclosed in quotes"))
    if literal.kind is not kind:
        raise _wrong_type(field, told, literal)
    return (unescaped(literal.value) or None) if kind is LiteralKind.STRING else literal.value


def as_span(field: FieldType, literal: Literal) -> tuple[Any, Any]:
    """Return the beginning and the end (which is not part of it) of a relative date, as values of the field.

    Raises `InvalidField` when the field is no date, `MalformedQuery` when the calendar does not go that far.
    """
    name, number = literal.value
    if field.type not in {FieldKind.DATE, FieldKind.DATETIME}:
        raise _wrong_type(field, _told(field), literal)
    try:
        first, after = relative_dates.span(name, number, clock.now().astimezone(UTC).date())
    except OverflowError:
        raise MalformedQuery(f"{name}:{number} is beyond the calendar", at=literal.at) from None
    if field.type is FieldKind.DATE:
        return first, after
    return datetime.combine(first, time.min, UTC), datetime.combine(after, time.min, UTC)


def _primary_key(field: FieldType, literal: Literal) -> Any:
    if literal.kind is not LiteralKind.STRING:
        raise _wrong_type(field, "string and should be enclosed in quotes", literal)
    text = unescaped(literal.value)
    if not text:
        return None
    try:
        prefix, number = decode(text)
    except MalformedId:
        raise InvalidFilter(f"invalid ID field: {text[:40]}", at=literal.at) from None
    meant = catalogue.object_of_prefix(prefix)
    if meant is None or meant.api_name not in field.reference_to or number > MAX_PRIMARY_KEY:
        return NOTHING
    return number


def _number(field: FieldType, literal: Literal) -> Any:
    if literal.kind is not LiteralKind.NUMBER:
        raise _wrong_type(field, f"{field.type.value} and should not be enclosed in quotes", literal)
    number: Decimal = literal.value
    if number == number.to_integral_value() and abs(number) <= _LARGEST:
        return int(number)
    if not field.precision and field.type not in {FieldKind.INT, FieldKind.LONG}:
        # A floating column is compared with what it could hold; beyond that is infinity.
        return float(number)
    if field.type in {FieldKind.INT, FieldKind.LONG}:
        # Stays on the right side of every value that the column can hold.
        return float(max(min(number, Decimal(_LARGEST)), Decimal(-_LARGEST)))
    return number


def _told(field: FieldType) -> str:
    return _EXPECTED.get(field.type, (None, f"{field.type.value}"))[1]


def _wrong_type(field: FieldType, told: str, literal: Literal) -> InvalidField:
    return InvalidField(f"value of filter criterion for field '{field.api_name}' must be of type {told}", at=literal.at)
