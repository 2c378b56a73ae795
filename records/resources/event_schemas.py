"""The schemas of platform events.

Salesforce: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_eventschema.htm
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.objects.event_schemas import EventSchema, schema_by_id, schema_of_event
from records.calls import Answer, Call
from records.errors import NoSuchResource, ParameterRefused
from records.routing import resource

__all__: list[str] = []


def of_event(call: Call, name: str) -> Answer:
    """Give the schema that events of that name have now."""
    return _given(call, schema_of_event(name, call.user))


def by_id(call: Call, schema_id: str) -> Answer:
    """Give a schema by the id that events carry."""
    # No database takes a NUL, not even to look for.
    return _given(call, None if "\x00" in schema_id else schema_by_id(schema_id, call.user))


def _given(call: Call, schema: EventSchema | None) -> Answer:
    form = call.query.get("payloadFormat", "EXPANDED").upper()
    if form not in {"EXPANDED", "COMPACT"}:
        raise ParameterRefused("The parameter payloadFormat is EXPANDED or COMPACT.")
    if schema is None:
        raise NoSuchResource
    record = json.loads(schema.document)
    return Answer(body={**(record if form == "COMPACT" else _expanded(record)), "uuid": schema.schema_id})


def _expanded(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the whole message as JSON carries it, where dates are texts."""
    payload = [{**field, "type": _json_type(field)} for field in record["fields"]]
    event = {"type": "record", "name": "Event", "fields": [{"name": "replayId", "type": "long"}]}
    parts = [
        {"name": "schema", "type": "string"},
        {"name": "payload", "type": {"type": "record", "name": "Payload", "doc": "", "fields": payload}},
        {"name": "event", "type": event},
    ]
    data = {"type": "record", "name": "Data", "namespace": "", "fields": parts}
    fields = [{"name": "data", "type": data}, {"name": "channel", "type": "string"}]
    return {"name": record["name"], "namespace": record["namespace"], "type": "expanded-record", "fields": fields}


def _json_type(field: Mapping[str, Any]) -> str | Sequence[str]:
    given: str | list[str] = field["type"]
    if not str(field.get("doc", "")).endswith((":DateTime", ":DateOnly", ":TimeOnly")):
        return given
    return "string" if isinstance(given, str) else ["string" if one == "long" else one for one in given]


resource("sobjects/{name}/eventSchema", get=of_event)
resource("event/eventSchema/{schema_id}", get=by_id)
