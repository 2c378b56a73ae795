"""Values as kept payloads hold them in JSON, and as Avro has them: moments there are numbers of milliseconds."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from events.fields import format_datetime

__all__ = ["CONVERTERS", "Converter", "to_avro_value"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Converter = Callable[[Any], Any]


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> str:
    return format_datetime(_EPOCH + milliseconds * _MILLISECOND)


def _day_in_milliseconds(text: str) -> int:
    return (date.fromisoformat(text) - _EPOCH.date()) // _MILLISECOND


def _day(milliseconds: int) -> str:
    return (_EPOCH + milliseconds * _MILLISECOND).date().isoformat()


def _time_in_milliseconds(text: str) -> int:
    found = time.fromisoformat(text)
    return ((found.hour * 60 + found.minute) * 60 + found.second) * 1000 + found.microsecond // 1000


def _time(milliseconds: int) -> str:
    return (_EPOCH + milliseconds * _MILLISECOND).time().isoformat(timespec="milliseconds") + "Z"


def _text(value: Any) -> str:
    # Long texts stay what they are; the values of a JSON field travel as JSON.
    return value if isinstance(value, str) else json.dumps(value)


CONVERTERS: dict[str, tuple[Converter, Converter]] = {
    "DateTime": (_milliseconds, _moment),
    "DateOnly": (_day_in_milliseconds, _day),
    "TimeOnly": (_time_in_milliseconds, _time),
    "StringPlusClob": (_text, lambda value: value),
}
"""By the data type in a field's `doc`: from JSON to Avro and back. The others look alike in both."""


def to_avro_value(data_type: str, value: Any) -> Any:
    """Return a kept value of a field of that data type as Avro has it."""
    return CONVERTERS[data_type][0](value) if data_type in CONVERTERS else value
