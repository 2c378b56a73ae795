"""Defines platform events at run time; everything is recorded in the audit trail."""

from collections.abc import Sequence

from django.db import transaction

from events import made_definitions, registry, schemas, topics
from events.compatibility import incompatibilities
from events.definitions import EventType
from events.errors import InvalidDefinition
from events.logs import get_event_log
from events.models import EventDefinition, EventFieldDefinition, Topic
from isthmus import clock
from isthmus.audit import actions as audit

__all__ = ["check_definition", "save_definition"]


def check_definition(definition: EventDefinition, fields: Sequence[EventFieldDefinition]) -> EventType:
    """Return the event as it would be. Raises `InvalidDefinition`, also for a change that breaks what runs."""
    declared = {event.api_name.lower() for event in registry.declared_events()}
    if definition.api_name.lower() in declared:
        raise InvalidDefinition(f"The code declares {definition.api_name} already.")
    event_type = made_definitions.event_type_of(definition, fields)
    if EventDefinition.objects.filter(api_name__iexact=definition.api_name).exclude(pk=definition.pk).exists():
        raise InvalidDefinition(f"There is an event {definition.api_name} already.")
    known = EventDefinition.objects.select_related("schema").filter(pk=definition.pk).first()
    if known is not None and known.api_name != definition.api_name:
        raise InvalidDefinition(f"{known.api_name} keeps its API name: topic and kept events have it.")
    if known is not None and known.is_active:
        problems = incompatibilities(known.schema.as_avro(), event_type.schema)
        if problems:
            raise InvalidDefinition(" ".join(problems))
    return event_type


def save_definition(
    definition: EventDefinition,
    fields: Sequence[EventFieldDefinition],
    *,
    retention_hours: int | None = None,
    retention_bytes: int | None = None,
) -> EventDefinition:
    """Store a platform event with exactly these fields; it can be published at once. Raises `InvalidDefinition`.

    Fields that the definition had and that are not given go; kept events that have them keep their schema.
    """
    event_type = check_definition(definition, fields)
    with transaction.atomic():
        get_event_log().ensure_topics([event_type.topic])
        definition.topic = topics.ensure([event_type.topic])[event_type.topic]
        definition.schema_id = schemas.keep(event_type.schema)
        definition.declared_in = ""
        definition.modified_at = clock.now()
        definition.save()
        definition.fields.exclude(pk__in=[field.pk for field in fields if field.pk is not None]).delete()
        for field in fields:
            field.definition = definition
            field.save()
        Topic.objects.filter(pk=definition.topic_id).update(
            retention_hours=retention_hours, retention_bytes=retention_bytes
        )
        audit.record(
            "events.definition_changed",
            target=definition.api_name,
            details={"schema": definition.schema_id, "fields": [field.api_name for field in fields]},
        )
        transaction.on_commit(made_definitions.forget)
    made_definitions.forget()
    return definition
