"""Field values as JSON carries them, both ways.

Coming in, texts are accepted for every type (some clients send nothing else), and an empty text means null.
Going out, each type has one form.
"""

import base64
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.dateparse import parse_date, parse_datetime, parse_time

from isthmus.objects import catalogue
from isthmus.objects.conf import options
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import FieldKind, FieldType
from isthmus.objects.record_ids import decode, encode
from isthmus.objects.results import SaveError

__all__ = ["BadValue", "from_wire", "to_wire"]

Moment = TypeVar("Moment", date, datetime, time)

_MAX_SHOWN = 80
_LONG_RANGE = (-(2**63), 2**63 - 1)
_INT_RANGE = (-(2**31), 2**31 - 1)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_BASIC_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")


class BadValue(Exception):
    """A value that the field cannot take; carries the error for the row's result."""

    def __init__(self, error: SaveError) -> None:
        self.error = error
        super().__init__(error.message)


def from_wire(field: FieldType, given: Any) -> Any:
    """Return the Python value for `given`; `None` for null and for an empty text. Raises `BadValue`.

    A reference becomes the primary key of what it names; whether that exists is not asked here.
    """
    if given is None or given == "":
        return None
    return _READERS[field.type](field, given)


def to_wire(field: FieldType, value: Any) -> Any:
    """Return what JSON carries for `value`: an empty text is null, as Salesforce's fields know no difference.

    Date-times have milliseconds and `Z`; references are 18-character ids.
    """
    if value is None or value == "":
        return None
    writer = _WRITERS.get(field.type)
    return value if writer is None else writer(field, value)


# --- coming in --------------------------------------------------------------------------------------------------------
def _wrong_type(field: FieldType, given: Any) -> BadValue:
    shown = str(given)[:_MAX_SHOWN]
    message = f"{field.label}: value not of required type: {shown}"
    return BadValue(SaveError("INVALID_TYPE_ON_FIELD_IN_RECORD", message, (field.api_name,)))


def _out_of_range(field: FieldType, given: Any) -> BadValue:
    message = f"{field.label}: value outside of valid range: {str(given)[:_MAX_SHOWN]}"
    return BadValue(SaveError("NUMBER_OUTSIDE_VALID_RANGE", message, (field.api_name,)))


def _read_text(field: FieldType, given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float | Decimal):
        raise _wrong_type(field, given)
    text = str(given)
    if "\x00" in text or not _is_encodable(text):
        raise _wrong_type(field, text.replace("\x00", "␀").encode(errors="replace").decode())
    if field.length and len(text) > field.length:
        message = f"{field.label}: data value too large: {text[:_MAX_SHOWN]} (max length={field.length})"
        raise BadValue(SaveError("STRING_TOO_LONG", message, (field.api_name,)))
    return text


def _is_encodable(text: str) -> bool:
    # JSON can carry half a surrogate pair; no database can.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_email(field: FieldType, given: Any) -> str:
    text = _read_text(field, given)
    try:
        validate_email(text)
    except ValidationError:
        message = f"{field.label}: invalid email address: {text[:_MAX_SHOWN]}"
        raise BadValue(SaveError("INVALID_EMAIL_ADDRESS", message, (field.api_name,))) from None
    return text


def _read_picklist(field: FieldType, given: Any) -> str:
    text = _read_text(field, given)
    if field.restricted_picklist and all(text != offered.value for offered in field.picklist_values):
        message = f"{field.label}: bad value for restricted picklist field: {text[:_MAX_SHOWN]}"
        raise BadValue(SaveError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.api_name,)))
    return text


def _read_multipicklist(field: FieldType, given: Any) -> str:
    text = _read_text(field, given)
    values = [value.strip() for value in text.split(";") if value.strip()]
    known = {offered.value for offered in field.picklist_values}
    for value in values if field.restricted_picklist else ():
        if value not in known:
            message = f"{field.label}: bad value for restricted picklist field: {value[:_MAX_SHOWN]}"
            raise BadValue(SaveError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.api_name,)))
    return ";".join(dict.fromkeys(values))


def _read_boolean(field: FieldType, given: Any) -> bool:
    if isinstance(given, bool):
        return given
    known = {"true": True, "1": True, "false": False, "0": False}
    found = known.get(str(given).strip().lower())
    if found is None:
        raise _wrong_type(field, given)
    return found


def _read_decimal(field: FieldType, given: Any) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, str | int | float | Decimal):
        raise _wrong_type(field, given)
    try:
        number = Decimal(str(given).strip())
    except InvalidOperation:
        raise _wrong_type(field, given) from None
    if not number.is_finite():
        raise _wrong_type(field, given)
    return number


def _read_whole(field: FieldType, given: Any) -> int:
    number = _read_decimal(field, given)
    low, high = _INT_RANGE if field.type is FieldKind.INT else _LONG_RANGE
    if not low <= number <= high:
        raise _out_of_range(field, given)
    if number != number.to_integral_value():
        raise _wrong_type(field, given)
    return int(number)


def _read_fraction(field: FieldType, given: Any) -> Decimal | float:
    number = _read_decimal(field, given)
    if not field.precision:
        found = float(number)
        if math.isinf(found):
            raise _out_of_range(field, given)
        return found
    if number.adjusted() >= field.precision - field.scale:
        raise _out_of_range(field, given)
    rounded = number.quantize(Decimal(1).scaleb(-field.scale), rounding=ROUND_HALF_UP)
    if rounded.adjusted() >= field.precision - field.scale:
        raise _out_of_range(field, given)
    return rounded


def _read_date(field: FieldType, given: Any) -> date:
    # Clients send a date-time where a date is due; its day counts.
    return _parsed(field, given, lambda text: parse_date(text[:10]) if _is_date_like(text) else None)


def _is_date_like(text: str) -> bool:
    return len(text) == 10 or (len(text) > 10 and text[10] in "T ")


def _read_datetime(field: FieldType, given: Any) -> datetime:
    def parse(text: str) -> datetime | None:
        found = parse_datetime(_BASIC_OFFSET.sub(r"\1:\2", text))
        if found is None and (day := parse_date(text)):
            found = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if found is None:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    return _parsed(field, given, parse)


def _read_time(field: FieldType, given: Any) -> time:
    return _parsed(field, given, lambda text: parse_time(text.removesuffix("Z")))


def _parsed(field: FieldType, given: Any, parse: Callable[[str], Moment | None]) -> Moment:
    if not isinstance(given, str):
        raise _wrong_type(field, given)
    try:
        found = parse(given.strip())
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise _wrong_type(field, given)
    return found


def _read_reference(field: FieldType, given: Any) -> int:
    wrong = SaveError(
        "MALFORMED_ID", f"{field.label}: id value of incorrect type: {str(given)[:_MAX_SHOWN]}", (field.api_name,)
    )
    if not isinstance(given, str):
        raise BadValue(wrong)
    try:
        prefix, number = decode(given)
    except MalformedId:
        raise BadValue(wrong) from None
    meant = catalogue.object_of_prefix(prefix)
    if field.reference_to and (meant is None or meant.api_name not in field.reference_to):
        raise BadValue(wrong)
    return number


def _read_blob(field: FieldType, given: Any) -> bytes:
    most = min(field.length or options.max_blob_bytes, options.max_blob_bytes)
    too_large = SaveError("MAXIMUM_SIZE_OF_ATTACHMENT", f"{field.label}: more than {most} bytes", (field.api_name,))
    if isinstance(given, bytes):
        # A part of a multipart body is not encoded.
        found = given
    elif isinstance(given, str):
        # Four characters carry three bytes; what cannot fit is not even decoded. Line breaks are for mail.
        text = given.replace("\r", "").replace("\n", "")
        if len(text) > most // 3 * 4 + 8:
            raise BadValue(too_large)
        # The decoder is more lenient, about padding for one.
        if len(text) % 4 or not _BASE64.fullmatch(text):
            raise _wrong_type(field, given)
        found = base64.b64decode(text)
    else:
        raise _wrong_type(field, given)
    if len(found) > most:
        raise BadValue(too_large)
    return found


def _read_json(_field: FieldType, given: Any) -> Any:
    return given


_READERS: dict[FieldKind, Callable[[FieldType, Any], Any]] = {
    FieldKind.ID: _read_reference,
    FieldKind.STRING: _read_text,
    FieldKind.TEXTAREA: _read_text,
    FieldKind.PHONE: _read_text,
    FieldKind.URL: _read_text,
    FieldKind.EMAIL: _read_email,
    FieldKind.PICKLIST: _read_picklist,
    FieldKind.MULTIPICKLIST: _read_multipicklist,
    FieldKind.BOOLEAN: _read_boolean,
    FieldKind.INT: _read_whole,
    FieldKind.LONG: _read_whole,
    FieldKind.DOUBLE: _read_fraction,
    FieldKind.CURRENCY: _read_fraction,
    FieldKind.PERCENT: _read_fraction,
    FieldKind.DATE: _read_date,
    FieldKind.DATETIME: _read_datetime,
    FieldKind.TIME: _read_time,
    FieldKind.REFERENCE: _read_reference,
    FieldKind.JSON: _read_json,
    FieldKind.BASE64: _read_blob,
}


# --- going out --------------------------------------------------------------------------------------------------------
def _write_number(field: FieldType, value: Any) -> float:
    # The stored value is rounded to the column's scale, whatever precision the instance in memory still holds.
    return float(round(Decimal(str(value)), field.scale)) if field.precision else float(value)


def _write_datetime(_field: FieldType, value: datetime) -> str:
    moment = value.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _write_time(_field: FieldType, value: time) -> str:
    return f"{value:%H:%M:%S}.{value.microsecond // 1000:03d}Z"


def _write_reference(field: FieldType, value: int) -> str | None:
    target = catalogue.get_object(field.reference_to[0]) if field.reference_to else None
    return None if target is None else encode(target.key_prefix, value)


def _write_blob(_field: FieldType, value: Any) -> str | None:
    # The name of a file is not its content.
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray | memoryview) else None


_WRITERS: dict[FieldKind, Callable[[FieldType, Any], Any]] = {
    FieldKind.DOUBLE: _write_number,
    FieldKind.CURRENCY: _write_number,
    FieldKind.PERCENT: _write_number,
    FieldKind.DATE: lambda _field, value: value.isoformat(),
    FieldKind.DATETIME: _write_datetime,
    FieldKind.TIME: _write_time,
    FieldKind.REFERENCE: _write_reference,
    FieldKind.ID: _write_reference,
    FieldKind.BASE64: _write_blob,
}
