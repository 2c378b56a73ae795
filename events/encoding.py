"""Payloads in Avro's binary form, as readers over the wire get them: bare, without a container.

A kept payload is JSON: moments are texts, lists of fields are names. In Avro a moment is a number of milliseconds and a
list of fields a list of bitmaps, as the schema's `doc` and `bitmaps.py` say.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

import fastavro

from events.avro import AvroSchema
from events.avro_values import CONVERTERS, Converter
from events.bitmaps import from_bitmaps, to_bitmaps
from events.changes import HEADER
from events.errors import UndecodablePayload

__all__ = ["from_avro", "to_avro"]

FIELD_LISTS = ("nulledFields", "diffFields", "changedFields")


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
        if data_type and data_type[0] in CONVERTERS:
            found[field["name"]] = CONVERTERS[data_type[0]]
    return found
