"""The schemas of platform events, for those who may publish the event or subscribe to it.

Change events are not among them: their schemas would tell the names of fields that the user may not read.
"""

from events import registry, schemas
from events.avro import AvroSchema
from events.errors import UnknownSchema
from events.grants import sees_event
from isthmus.access.policy import AnyUser
from isthmus.objects.event_schemas import EventSchema

__all__ = ["by_id", "of_event"]


def of_event(api_name: str, user: AnyUser) -> EventSchema | None:
    """Return the newest schema of that event; `None` when there is none, or none for this user."""
    event_type = registry.find_event(api_name)
    return None if event_type is None else _told(event_type.schema, user)


def by_id(schema_id: str, user: AnyUser) -> EventSchema | None:
    """Return the schema of that id, however old; `None` when there is none, or none for this user."""
    current = next((found.schema for found in registry.all_events() if found.schema.schema_id == schema_id), None)
    try:
        return _told(current or schemas.get(schema_id), user)
    except UnknownSchema:
        return None


def _told(schema: AvroSchema, user: AnyUser) -> EventSchema | None:
    if not schema.record_name.endswith("__e") or not sees_event(user, schema.record_name):
        return None
    return EventSchema(schema_id=schema.schema_id, document=schema.document)
