"""What change events have in common: their header, their schemas, and whose they are."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from events import registry
from events.avro import AvroSchema, change_event_schema, nullable
from events.names import change_event_name, change_topic
from isthmus.objects import catalogue
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.reading import told_fields

__all__ = ["HEADER", "change_header", "object_of_topic", "object_schema", "schema_of_topic"]

# Kinds of fields → type in Avro, data type in the `doc` of the field.
_TYPES: dict[FieldKind, tuple[str, str]] = {
    FieldKind.ID: ("string", "EntityId"),
    FieldKind.STRING: ("string", "Text"),
    FieldKind.BOOLEAN: ("boolean", "Boolean"),
    FieldKind.INT: ("int", "Integer"),
    FieldKind.LONG: ("long", "Long"),
    FieldKind.DOUBLE: ("double", "Double"),
    FieldKind.CURRENCY: ("double", "Currency"),
    FieldKind.PERCENT: ("double", "Percent"),
    FieldKind.DATE: ("long", "DateOnly"),
    FieldKind.DATETIME: ("long", "DateTime"),
    FieldKind.TIME: ("long", "TimeOnly"),
    FieldKind.EMAIL: ("string", "Email"),
    FieldKind.PHONE: ("string", "Phone"),
    FieldKind.URL: ("string", "Url"),
    FieldKind.TEXTAREA: ("string", "StringPlusClob"),
    FieldKind.PICKLIST: ("string", "DynamicEnum"),
    FieldKind.MULTIPICKLIST: ("string", "MultiEnum"),
    FieldKind.REFERENCE: ("string", "ForeignKey:EntityId"),
    FieldKind.JSON: ("string", "StringPlusClob"),
}

HEADER = "ChangeEventHeader"
"""The field of a change event that tells what happened to which records."""


def change_header(
    object_name: str,
    record_ids: list[str],
    change_type: str,
    *,
    transaction_key: uuid.UUID,
    at: datetime,
    sequence_number: int = 1,
    commit_number: int = 0,
    user_id: str = "",
    origin: str = "",
    changed_fields: Sequence[str] = (),
    nulled_fields: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the header of a change event."""
    return {
        "entityName": object_name,
        "recordIds": record_ids,
        "changeType": change_type,
        "changeOrigin": origin,
        "transactionKey": str(transaction_key),
        "sequenceNumber": sequence_number,
        "commitTimestamp": int(at.timestamp() * 1000),
        "commitNumber": commit_number,
        "commitUser": user_id,
        "nulledFields": list(nulled_fields),
        "diffFields": [],
        "changedFields": list(changed_fields),
    }


def object_schema(object_name: str) -> AvroSchema:
    """Return the schema of an object's change events."""
    return _object_schema(object_name, catalogue.generation())


@cache
def _object_schema(object_name: str, _generation: int) -> AvroSchema:
    fields = told_fields(catalogue.get_object(object_name))
    return change_event_schema(change_event_name(object_name), [_avro_field(field) for field in fields])


def object_of_topic(topic: str) -> ObjectType | None:
    """Return the object whose change events the topic carries; `None` for other topics."""
    return _by_topic(catalogue.generation()).get(topic)


@lru_cache(maxsize=1)
def _by_topic(_generation: int) -> dict[str, ObjectType]:
    return {change_topic(found.api_name): found for found in catalogue.all_objects()}


def schema_of_topic(topic: str) -> AvroSchema | None:
    """Return the schema of what is published to the topic now; `None` when it is nobody's any more, or carries many."""
    if topic.startswith("/event/"):
        declared = registry.find_event(topic.rpartition("/")[2])
        return declared.schema if declared is not None else None
    changed = object_of_topic(topic)
    return object_schema(changed.api_name) if changed is not None else None


def _avro_field(field: FieldType) -> dict[str, object]:
    avro_type, doc_type = _TYPES[field.type]
    return nullable(field.api_name, avro_type, f"Data:{doc_type}")
