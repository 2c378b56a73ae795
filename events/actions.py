"""What operators and start-up do with definitions and subscriptions."""

from typing import Literal

from django.db import transaction

from events import registry, schemas
from events.changes import object_schema
from events.logs import EventLog, get_event_log
from events.models import EventDefinition, Subscription, SubscriptionState, Topic
from events.names import UNION_TOPIC, change_topic
from events.subscribers import Subscriber
from isthmus.logs import get_logger
from isthmus.objects.capture.tracking import tracked_names
from isthmus.objects.registry import all_objects

__all__ = ["pause", "restart", "resume", "synchronise"]

log = get_logger(__name__)


def synchronise(event_log: EventLog | None = None) -> None:
    """Make the tables show what the code declares: topics, schemas, definitions, subscriptions. Idempotent.

    Runs after every migration and when a bus starts. A subscription that is new begins at its `start` now.
    """
    event_log = event_log or get_event_log()
    tracked = sorted(tracked_names(all_objects()))
    subscribers = registry.all_subscribers()
    with transaction.atomic():
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


def pause(subscription: Subscription) -> None:
    """Let the subscription rest where it is; events wait for it."""
    _change(subscription, state=SubscriptionState.PAUSED, next_attempt_at=None)


def resume(subscription: Subscription) -> None:
    """Let a paused or failing subscription go on at once, where it was. A stopped one needs `restart`."""
    if subscription.state != SubscriptionState.STOPPED:
        _change(subscription, state=SubscriptionState.RUNNING, next_attempt_at=None)


def restart(subscription: Subscription, *, at: Literal["earliest", "latest"]) -> None:
    """Let the subscription go on with the oldest kept event, or with what comes from now on; the rest is skipped."""
    cursor = _position(get_event_log(), subscription.topic.name, at)
    _change(
        subscription, state=SubscriptionState.RUNNING, next_attempt_at=None, cursor=cursor, failures=0, last_error=""
    )


def _change(subscription: Subscription, **values: object) -> None:
    # One statement: it waits for a batch that is being handled, and does not undo what that batch did.
    Subscription.objects.filter(pk=subscription.pk).update(**values)
    subscription.refresh_from_db()
    log.info("events.subscription_changed", subscription=subscription.name, state=subscription.state)


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
    declared = registry.all_events()
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
                is_declared=True,
            )
            for event in declared
        ],
        update_conflicts=True,
        unique_fields=["api_name"],
        update_fields=["label", "description", "schema", "declared_in", "is_declared"],
    )
    for event in declared:
        Topic.objects.filter(name=event.topic).update(
            retention_hours=event.retention_hours, retention_bytes=event.retention_bytes
        )
    EventDefinition.objects.exclude(api_name__in=[event.api_name for event in declared]).update(is_declared=False)
