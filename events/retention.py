"""Removes events that have been kept long enough, a small batch at a time."""

from datetime import timedelta

from events import registry
from events.channels import carrying
from events.conf import options
from events.logs.base import EventLog, Retention
from events.models import Subscription, SubscriptionState, Topic
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["trim"]

log = get_logger(__name__)


def trim(event_log: EventLog) -> int:
    """Remove a batch of the events that are past their retention, and return how many.

    What a subscription of ours has not handled yet stays, however old: nothing accepted is lost because a subscriber
    was paused or failing. A subscription that was stopped, or that the code no longer declares, holds nothing back.
    """
    held, now = _unhandled(), clock.now()
    removed = 0
    for topic in Topic.objects.filter(kept_events__gt=0):
        hours = topic.retention_hours or options.retention_hours
        rule = Retention(before=now - timedelta(hours=hours), bytes_kept=topic.retention_bytes)
        positions = [held[name] for name in carrying(topic.name) if name in held]
        removed += event_log.trim(
            topic.name, rule, limit=options.trim_batch_size, kept_after=min(positions, default=None)
        )
    if removed:
        log.info("events.trimmed", count=removed)
    return removed


def _unhandled() -> dict[str, int]:
    declared = [subscriber.name for subscriber in registry.all_subscribers()]
    holding = Subscription.objects.filter(name__in=declared).exclude(state=SubscriptionState.STOPPED)
    positions: dict[str, int] = {}
    for topic, cursor in holding.values_list("topic__name", "cursor"):
        positions[topic] = min(cursor, positions.get(topic, cursor))
    return positions
