"""The schemas of platform events: whoever has events contributes them, so that the record API need not know events."""

from dataclasses import dataclass
from typing import Protocol

from isthmus.access.policy import AnyUser

__all__ = ["EventSchema", "EventSchemaSource", "register_event_schemas", "schema_by_id", "schema_of_event"]


@dataclass(frozen=True, kw_only=True)
class EventSchema:
    """One version of an event's schema."""

    schema_id: str
    document: str
    """The Avro schema, a record, as JSON text."""


class EventSchemaSource(Protocol):
    """Knows schemas of events, and who may see which."""

    def of_event(self, api_name: str, user: AnyUser) -> EventSchema | None:
        """Return the newest schema of that event; `None` when there is none, or none for this user."""

    def by_id(self, schema_id: str, user: AnyUser) -> EventSchema | None:
        """Return the schema of that id, however old; `None` when there is none, or none for this user."""


_sources: list[EventSchemaSource] = []


def register_event_schemas(source: EventSchemaSource) -> None:
    """Ask this source, too."""
    _sources.append(source)


def schema_of_event(api_name: str, user: AnyUser) -> EventSchema | None:
    """Return the newest schema of that event; `None` when there is none, or none for this user."""
    return next((found for source in _sources if (found := source.of_event(api_name, user)) is not None), None)


def schema_by_id(schema_id: str, user: AnyUser) -> EventSchema | None:
    """Return the schema of that id, however old; `None` when there is none, or none for this user."""
    return next((found for source in _sources if (found := source.by_id(schema_id, user)) is not None), None)
