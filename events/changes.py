"""The schemas of change events."""

from functools import cache

from events.avro import AvroSchema, change_event_schema, nullable
from events.names import change_event_name
from isthmus.objects import catalogue
from isthmus.objects.object_types import FieldKind, FieldType

__all__ = ["object_schema"]

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
    FieldKind.REFERENCE: ("string", "ForeignKey:EntityId"),
    FieldKind.JSON: ("string", "StringPlusClob"),
}

# The id travels in the header; these tell nothing about the record's data.
_LEFT_OUT = {"Id", "IsDeleted", "SystemModstamp"}


def object_schema(object_name: str) -> AvroSchema:
    """Return the schema of an object's change events."""
    return _object_schema(object_name, catalogue.generation())


@cache
def _object_schema(object_name: str, _generation: int) -> AvroSchema:
    fields = (field for field in catalogue.get_object(object_name).fields if _is_told(field))
    return change_event_schema(change_event_name(object_name), [_avro_field(field) for field in fields])


def _is_told(field: FieldType) -> bool:
    return field.api_name not in _LEFT_OUT and not field.calculated


def _avro_field(field: FieldType) -> dict[str, object]:
    avro_type, doc_type = _TYPES[field.type]
    return nullable(field.api_name, avro_type, f"Data:{doc_type}")
