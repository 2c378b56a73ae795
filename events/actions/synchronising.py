"""Makes the tables show what the code declares."""

from typing import Literal

from django.db import transaction

from events import registry, schemas
from events.changes import object_schema
from events.compatibility import incompatibilities
from events.definitions import EventType
from events.errors import InvalidDefinition
from events.logs import EventLog, get_event_log
from events.models import EventDefinition, NumberSeries, Subscription, Topic
from events.names import UNION_TOPIC, change_topic
from events.series import COMMIT_SERIES, REPLAY_SERIES
from events.subscribers import Subscriber
from isthmus.objects.capture.tracking import tracked_names
from isthmus.objects.registry import all_objects

__all__ = ["synchronise"]


def synchronise(event_log: EventLog | None = None) -> None:
    """Make the tables show what the code declares: topics, schemas, definitions, subscriptions. Idempotent.

    Runs after every migration and when a bus starts. A subscription that is new begins at its `start` now.
    """
    event_log = event_log or get_event_log()
    tracked = sorted(tracked_names(all_objects()))
    subscribers = registry.all_subscribers()
    with transaction.atomic():
        NumberSeries.objects.bulk_create(
            [NumberSeries(name=name) for name in (COMMIT_SERIES, REPLAY_SERIES)], ignore_conflicts=True
        )
        event_log.ensure_topics(
            {
                UNION_TOPIC,
                *(change_topic(name) for name in tracked),
                *(event.topic for event in registry.all_events()),
                *(subscriber.topic for subscriber in subscribers),
            }
        )
        for name in tracked:
            schemas.keep(object_schema(name))
        _write_definitions()
        _write_subscriptions(event_log, subscribers)


def _position(event_log: EventLog, topic: str, start: Literal["earliest", "latest"]) -> int:
    return event_log.earliest(topic) if start == "earliest" else event_log.latest(topic)


def _write_subscriptions(event_log: EventLog, subscribers: list[Subscriber]) -> None:
    topics = {topic.name: topic for topic in Topic.objects.all()}
    known = {subscription.name: subscription for subscription in Subscription.objects.all()}
    Subscription.objects.bulk_create(
        [
            Subscription(
                name=subscriber.name,
                topic=topics[subscriber.topic],
                cursor=_position(event_log, subscriber.topic, subscriber.start),
            )
            for subscriber in subscribers
            if subscriber.name not in known
        ],
        # Two processes that start together: the first one's beginning counts.
        ignore_conflicts=True,
    )
    for subscriber in subscribers:
        topic = topics[subscriber.topic]
        if subscriber.name in known and known[subscriber.name].topic_id != topic.pk:
            # The cursor stays: replay ids are one series over all topics, so it is the same moment in the new topic.
            Subscription.objects.filter(name=subscriber.name).update(topic=topic)


def _write_definitions() -> None:
    declared = registry.declared_events()
    _refuse_incompatible(declared)
    topics = {topic.name: topic for topic in Topic.objects.filter(name__in=[event.topic for event in declared])}
    EventDefinition.objects.bulk_create(
        [
            EventDefinition(
                api_name=event.api_name,
                label=event.label,
                description=event.description,
                topic=topics[event.topic],
                schema_id=schemas.keep(event.schema),
                declared_in=event.declared_in,
                is_active=True,
                publish_behavior=event.publish_behavior,
                partition_key=event.partition_key,
            )
            for event in declared
        ],
        update_conflicts=True,
        unique_fields=["api_name"],
        update_fields=[
            "label",
            "description",
            "schema",
            "declared_in",
            "is_active",
            "publish_behavior",
            "partition_key",
        ],
    )
    for event in declared:
        Topic.objects.filter(name=event.topic).update(
            retention_hours=event.retention_hours, retention_bytes=event.retention_bytes
        )
    gone = EventDefinition.objects.exclude(declared_in="").exclude(api_name__in=[event.api_name for event in declared])
    gone.update(is_active=False)


def _refuse_incompatible(declared: list[EventType]) -> None:
    """Raise `InvalidDefinition` when the code changed an event so that the versions could not run side by side."""
    # Whoever knew an event that nobody could publish any more is gone.
    active = EventDefinition.objects.filter(is_active=True).select_related("schema")
    known = active.in_bulk(field_name="api_name")
    problems = [
        f"{event.api_name}: {problem}"
        for event in declared
        if event.api_name in known
        for problem in incompatibilities(known[event.api_name].schema.as_avro(), event.schema)
    ]
    if problems:
        raise InvalidDefinition(" ".join(problems))
