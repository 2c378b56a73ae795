"""Payloads in Avro's binary form, as readers over the wire get them: bare, without a container.

A kept payload is JSON: moments are texts, lists of fields are names. In Avro a moment is a number of milliseconds and a
list of fields a list of bitmaps, as the schema's `doc` and `bitmaps.py` say.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from io import BytesIO
from typing import Any

import fastavro

from events.avro import AvroSchema
from events.bitmaps import from_bitmaps, to_bitmaps
from events.changes import HEADER
from events.errors import UndecodablePayload
from events.fields import format_datetime

__all__ = ["from_avro", "to_avro"]

FIELD_LISTS = ("nulledFields", "diffFields", "changedFields")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_avro(schema: AvroSchema, payload: Mapping[str, Any]) -> bytes:
    """Return the payload of an event that was written with `schema`. Fields that it lacks are null."""
    record = {name: payload.get(name) for name in _names(schema.document)}
    for name, (encode, _) in _converters(schema.document).items():
        if record[name] is not None:
            record[name] = encode(record[name])
    if HEADER in record:
        header = dict(payload[HEADER])
        for listed in FIELD_LISTS:
            header[listed] = to_bitmaps(header[listed], _fields(schema.document))
        record[HEADER] = header
    written = BytesIO()
    fastavro.schemaless_writer(written, _parsed(schema.document), record)
    return written.getvalue()


def from_avro(schema: AvroSchema, data: bytes) -> dict[str, Any]:
    """Return the payload that `data` holds. Raises `UndecodablePayload` unless it is one, and nothing more."""
    source = BytesIO(data)
    try:
        record = fastavro.schemaless_reader(source, _parsed(schema.document), None)
        if source.read(1) or not isinstance(record, dict):
            raise UndecodablePayload(
                f"The payload goes on after the event that the schema {schema.schema_id} describes."
            )
        for name, (_, decode) in _converters(schema.document).items():
            if record[name] is not None:
                record[name] = decode(record[name])
        if HEADER in record:
            for listed in FIELD_LISTS:
                record[HEADER][listed] = from_bitmaps(record[HEADER][listed], _fields(schema.document))
    except (EOFError, ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError) as error:
        # Whatever the bytes made the library stumble over: they are not what they should be.
        message = f"The payload is not Avro of the schema {schema.schema_id}."
        raise UndecodablePayload(message) from error
    if HEADER not in record:
        return record
    # Of a change only what changed is told: what is null and not among it did not.
    nulled = record[HEADER]["nulledFields"]
    return {name: value for name, value in record.items() if value is not None or name in nulled}


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


_CONVERTERS: dict[str, tuple[Converter, Converter]] = {
    "DateTime": (_milliseconds, _moment),
    "DateOnly": (_day_in_milliseconds, _day),
    "TimeOnly": (_time_in_milliseconds, _time),
    "StringPlusClob": (_text, lambda value: value),
}
"""By the data type in a field's `doc`: from JSON to Avro and back. The others look alike in both."""


@lru_cache(maxsize=512)
def _parsed(document: str) -> Any:
    return fastavro.parse_schema(json.loads(document))


@lru_cache(maxsize=512)
def _fields(document: str) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = json.loads(document)["fields"]
    return fields


@lru_cache(maxsize=512)
def _names(document: str) -> tuple[str, ...]:
    return tuple(field["name"] for field in _fields(document))


@lru_cache(maxsize=512)
def _converters(document: str) -> dict[str, tuple[Converter, Converter]]:
    found = {}
    for field in _fields(document):
        data_type = field.get("doc", "").split(":")[1:2]
        if data_type and data_type[0] in _CONVERTERS:
            found[field["name"]] = _CONVERTERS[data_type[0]]
    return found
