"""Avro schemas as JSON text, built without a library, and the ids that clients know them by.

The shapes are those that Salesforce's Pub/Sub API serves
(https://developer.salesforce.com/docs/platform/pub-sub-api/guide/event-avro-serialization.html).
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

__all__ = ["AvroSchema", "PlainField", "change_event_schema", "nullable", "platform_event_schema"]

NAMESPACE = "com.sforce.eventbus"

CHANGE_TYPES = (
    "CREATE",
    "UPDATE",
    "DELETE",
    "UNDELETE",
    "GAP_CREATE",
    "GAP_UPDATE",
    "GAP_DELETE",
    "GAP_UNDELETE",
    "GAP_OVERFLOW",
    "SNAPSHOT",
)

_HEADER_TYPES: tuple[tuple[str, Any], ...] = (
    ("entityName", "string"),
    ("recordIds", {"type": "array", "items": "string"}),
    ("changeType", {"type": "enum", "name": "ChangeType", "symbols": list(CHANGE_TYPES)}),
    ("changeOrigin", "string"),
    ("transactionKey", "string"),
    ("sequenceNumber", "int"),
    ("commitTimestamp", "long"),
    ("commitNumber", "long"),
    ("commitUser", "string"),
    ("nulledFields", {"type": "array", "items": "string"}),
    ("diffFields", {"type": "array", "items": "string"}),
    ("changedFields", {"type": "array", "items": "string"}),
)


@dataclass(frozen=True)
class AvroSchema:
    """A schema and its id."""

    record_name: str
    document: str
    """The schema as JSON without blanks."""

    @cached_property
    def schema_id(self) -> str:
        """22 characters: the MD5 of the schema with sorted keys, URL-safe base64 without padding."""
        normalised = json.dumps(json.loads(self.document), sort_keys=True, separators=(",", ":"))
        digest = hashlib.md5(normalised.encode(), usedforsecurity=False).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def plain_fields(self) -> Iterator["PlainField"]:
        """Yield every field with a single value, those of the header by their path (`ChangeEventHeader.changeType`)."""
        yield from _plain(json.loads(self.document)["fields"], "")


class PlainField(NamedTuple):
    """A field with a single value."""

    name: str
    avro_type: str
    data_type: str
    """As the `doc` tells it: `DateTime`; "" when it does not."""
    is_nullable: bool
    has_default: bool


def _plain(fields: Iterable[Mapping[str, Any]], path: str) -> Iterator[PlainField]:
    for field in fields:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        (found,) = (branch for branch in branches if branch != "null")
        name, is_nullable, has_default = f"{path}{field['name']}", "null" in branches, "default" in field
        if isinstance(found, str):
            data_type = field.get("doc", "").partition(":")[2]
            yield PlainField(name, found, data_type, is_nullable, has_default)
        elif found["type"] == "enum":
            yield PlainField(name, "string", "", is_nullable, has_default)
        elif found["type"] == "record":
            yield from _plain(found["fields"], f"{name}.")


def nullable(name: str, avro_type: str, doc: str) -> dict[str, Any]:
    """Return a field that may be null, which is then its default."""
    return {"name": name, "type": ["null", avro_type], "doc": doc, "default": None}


def platform_event_schema(api_name: str, fields: Iterable[Mapping[str, Any]]) -> AvroSchema:
    """Return the schema of a platform event: when, by whom, then `fields` in the order of their definition."""
    return _record(
        api_name,
        [
            {"name": "CreatedDate", "type": "long", "doc": "CreatedDate:DateTime"},
            {"name": "CreatedById", "type": "string", "doc": "CreatedBy:EntityId"},
            *fields,
        ],
    )


def change_event_schema(event_name: str, fields: Iterable[Mapping[str, Any]]) -> AvroSchema:
    """Return the schema of an object's change events: the header, then `fields`, each of them nullable."""
    header = {
        "type": "record",
        "name": "ChangeEventHeader",
        "fields": [{"name": name, "type": avro_type} for name, avro_type in _HEADER_TYPES],
    }
    return _record(event_name, [{"name": "ChangeEventHeader", "type": header}, *fields])


def _record(name: str, fields: list[Mapping[str, Any]]) -> AvroSchema:
    schema = {"type": "record", "name": name, "namespace": NAMESPACE, "fields": fields}
    return AvroSchema(name, json.dumps(schema, separators=(",", ":")))
