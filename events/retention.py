"""Removes events that have been kept long enough, a small batch at a time."""

from datetime import timedelta

from events import registry
from events.conf import options
from events.logs.base import EventLog
from events.models import Subscription, SubscriptionState
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["trim"]

log = get_logger(__name__)


def trim(event_log: EventLog) -> int:
    """Remove one batch of the events that are past their retention, and return how many.

    What a subscription of ours has not handled yet stays, however old: nothing accepted is lost because a subscriber
    was paused or failing. A subscription that was stopped, or that the code no longer declares, holds nothing back.
    """
    removed = event_log.trim(
        before=clock.now() - timedelta(hours=options.retention_hours),
        limit=options.trim_batch_size,
        kept_after=_unhandled(),
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
