"""The types that a platform event's fields can have: what they accept, how they are kept, what Avro calls them."""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, ClassVar, Generic, TypeVar, overload

from django.utils.dateparse import parse_date, parse_datetime

from events.errors import InvalidDefinition
from isthmus.objects.errors import MalformedId
from isthmus.objects.record_ids import to_18

__all__ = [
    "Checkbox",
    "Date",
    "DateTime",
    "EventField",
    "LongText",
    "Number",
    "RecordIdField",
    "Text",
    "ValueRefused",
    "format_datetime",
]

T = TypeVar("T")

_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*__c")
# PostgreSQL keeps no NUL in JSON, and no encoder writes half of a surrogate pair.
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


class ValueRefused(ValueError):
    """A value is not one that the field takes."""

    def __init__(self, message: str, *, code: str = "INVALID_TYPE_ON_FIELD_IN_RECORD") -> None:
        self.message = message
        self.code = code
        super().__init__(message)


class EventField(Generic[T]):
    """One field. On the class it is itself, on an event it is the value (`None` when not given).

    `required` refuses events without a value; `default` is used where none is given.
    """

    avro_type: ClassVar[str]
    doc_type: ClassVar[str]
    """The data type in the schema's `doc`, as Salesforce names it."""
    sobject_type: ClassVar[str]
    """The type that `describe` tells."""

    name: str
    """The Python attribute."""

    def __init__(
        self, api_name: str, *, required: bool = False, default: T | None = None, label: str = "", help_text: str = ""
    ) -> None:
        if not _API_NAME.fullmatch(api_name):
            raise InvalidDefinition(f"{api_name!r} is not a field's API name; it looks like `Order_Number__c`.")
        self.api_name = api_name
        self.required = required
        self.default = default
        self.label = label or api_name.removesuffix("__c").replace("_", " ")
        self.help_text = help_text

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "EventField[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T | None: ...
    def __get__(self, instance: object | None, owner: type) -> "EventField[T] | T | None":
        if instance is None:
            return self
        value: T | None = instance.__dict__.get(self.name, self.default)
        return value

    def __set__(self, instance: object, value: T | None) -> None:
        instance.__dict__[self.name] = value

    @property
    def length(self) -> int:
        """The longest text, in characters; 0 where length has no meaning."""
        return 0

    def to_json(self, value: object) -> Any:
        """Return `value` as it is kept in a payload. `None` and "" are no value. Raises `ValueRefused`."""
        if value is None or value == "":
            return None
        return self._to_json(value)

    def to_python(self, kept: Any) -> T | None:
        """Return a kept value as Python sees it."""
        return None if kept is None else self._to_python(kept)

    def _to_json(self, value: object) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say how its values are kept.")

    def _to_python(self, kept: Any) -> T:
        value: T = kept
        return value


class Text(EventField[str]):
    """Up to `length` characters."""

    avro_type = "string"
    doc_type = "Text"
    sobject_type = "string"
    longest: ClassVar[int] = 255

    def __init__(self, api_name: str, *, length: int = 255, **given: Any) -> None:
        super().__init__(api_name, **given)
        if not 1 <= length <= self.longest:
            raise InvalidDefinition(f"{api_name}: the length of a {type(self).__name__} is 1 to {self.longest}.")
        self._length = length

    @property
    def length(self) -> int:
        return self._length

    def _to_json(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueRefused(f"takes a text, not {_kind(value)}.")
        if _NOT_TEXT.search(value):
            raise ValueRefused("holds a character that no text may hold (NUL or half a surrogate pair).")
        if len(value) > self._length:
            raise ValueRefused(f"is too long: {len(value)} characters, at most {self._length}.", code="STRING_TOO_LONG")
        return value


class LongText(Text):
    """A text of up to 131,072 characters."""

    doc_type = "StringPlusClob"
    sobject_type = "textarea"
    longest = 131_072

    def __init__(self, api_name: str, *, length: int = 131_072, **given: Any) -> None:
        super().__init__(api_name, length=length, **given)


class Number(EventField[int | float | Decimal]):
    """A number of at most `precision` digits, `scale` of them after the point (further ones are rounded half up).

    Subscribers get a double, so about 15 digits are exact, as in Salesforce.
    """

    avro_type = "double"
    doc_type = "Double"
    sobject_type = "double"

    def __init__(self, api_name: str, *, precision: int = 18, scale: int = 6, **given: Any) -> None:
        super().__init__(api_name, **given)
        if not (1 <= precision <= 18 and 0 <= scale <= precision):
            raise InvalidDefinition(f"{api_name}: precision is 1 to 18, scale 0 to precision.")
        self.precision = precision
        self.scale = scale

    def _to_json(self, value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise ValueRefused(f"takes a number, not {_kind(value)}.")
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise ValueRefused("takes a number, not a text that is none.") from None
        if not number.is_finite():
            raise ValueRefused("takes a finite number.", code="NUMBER_OUTSIDE_VALID_RANGE")
        # Compared before rounding too: a huge exponent must not be written out in digits.
        rounded = self._rounded(number) if self._fits(number) else number
        if not self._fits(rounded):
            raise ValueRefused(
                f"takes at most {self.precision - self.scale} digits before the point.",
                code="NUMBER_OUTSIDE_VALID_RANGE",
            )
        return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)

    def _fits(self, number: Decimal) -> bool:
        return not number or number.adjusted() < self.precision - self.scale

    def _rounded(self, number: Decimal) -> Decimal:
        return number.quantize(Decimal(1).scaleb(-self.scale), rounding=ROUND_HALF_UP)


class Checkbox(EventField[bool]):
    """True or false; false when not given."""

    avro_type = "boolean"
    doc_type = "Boolean"
    sobject_type = "boolean"

    def __init__(self, api_name: str, *, default: bool = False, **given: Any) -> None:
        super().__init__(api_name, default=default, **given)

    def to_json(self, value: object) -> bool:
        kept: bool | None = super().to_json(value)
        return bool(self.default) if kept is None else kept

    def _to_json(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        raise ValueRefused(f"takes true or false, not {_kind(value)}.")


class Date(EventField[date]):
    """A day, as a `date` or as `2026-01-31`."""

    avro_type = "long"
    doc_type = "DateOnly"
    sobject_type = "date"

    def _to_json(self, value: object) -> str:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
        try:
            found = parse_date(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None:
            raise ValueRefused(f"takes a date such as 2026-01-31, not {_kind(value)}.")
        return found.isoformat()

    def _to_python(self, kept: Any) -> date:
        return date.fromisoformat(kept)


class DateTime(EventField[datetime]):
    """A moment, as an aware `datetime` or as `2026-01-31T12:00:00.000Z`; kept to the millisecond, in UTC."""

    avro_type = "long"
    doc_type = "DateTime"
    sobject_type = "datetime"

    def _to_json(self, value: object) -> str:
        try:
            found = parse_datetime(value) if isinstance(value, str) else value
        except ValueError:
            found = None
        if not isinstance(found, datetime):
            raise ValueRefused(f"takes a time such as 2026-01-31T12:00:00.000Z, not {_kind(value)}.")
        if found.tzinfo is None:
            raise ValueRefused("takes a time with its time zone, such as 2026-01-31T12:00:00.000Z.")
        try:
            return format_datetime(found)
        except OverflowError:
            raise ValueRefused("takes a time of the years 1 to 9999 in UTC.") from None

    def _to_python(self, kept: Any) -> datetime:
        return datetime.fromisoformat(kept)


class RecordIdField(EventField[str]):
    """The id of a record, 15 or 18 characters given, 18 kept."""

    avro_type = "string"
    doc_type = "EntityId"
    sobject_type = "reference"

    @property
    def length(self) -> int:
        return 18

    def _to_json(self, value: object) -> str:
        given = getattr(value, "record_id", value)
        if not isinstance(given, str):
            raise ValueRefused(f"takes a record id, not {_kind(value)}.", code="MALFORMED_ID")
        try:
            return to_18(given)
        except MalformedId:
            raise ValueRefused("takes a record id of 15 or 18 characters.", code="MALFORMED_ID") from None


def format_datetime(moment: datetime) -> str:
    """Return `moment` as events carry it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _kind(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "this text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")
