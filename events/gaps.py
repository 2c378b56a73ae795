"""What a subscription does whose next events are no longer kept: each says so when it is declared."""

import uuid
from collections.abc import Sequence
from typing import Any

from events.errors import ReplayIdExpired
from events.logs.base import EventLog
from events.models import Subscription
from events.subscribers import Event, Subscriber
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["after_expiry", "gap_payload"]

log = get_logger(__name__)


def after_expiry(
    event_log: EventLog, subscriber: Subscriber, subscription: Subscription, expired: ReplayIdExpired
) -> Sequence[Event] | None:
    """Return what comes next in place of the events that are gone; `None` when the subscription has to stop.

    With `on_expired="earliest"` that is a gap event, which tells that events are missing, and then the oldest that are
    kept; with "latest" the cursor goes to the end, and nothing comes until the next event.
    """
    topic = subscription.topic.name
    if subscriber.on_expired == "stop":
        return None
    log.error("events.skipped_expired", subscription=subscription.name, reason=expired.message)
    if subscriber.on_expired == "latest":
        subscription.cursor = event_log.latest(topic)
        subscription.save()
        return []
    earliest = event_log.earliest(topic)
    gap = _gap(topic, missing_after=subscription.cursor, missing_up_to=earliest)
    return [gap, *event_log.read(topic, after=earliest, limit=subscriber.batch_size)]


def gap_payload(after: int, up_to: int, events: int | None = None) -> dict[str, Any]:
    """Return the payload of a gap event: between which replay ids events are missing, and how many if that is known."""
    gap = {"missingAfter": after, "missingUpTo": up_to}
    return {"Gap": gap if events is None else {**gap, "missingEvents": events}}


def _gap(topic: str, *, missing_after: int, missing_up_to: int) -> Event:
    return Event(
        replay_id=missing_up_to,
        event_uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"{topic}#gap-{missing_after}-{missing_up_to}"),
        topic=topic,
        schema_id="",
        payload=gap_payload(missing_after, missing_up_to),
        created_at=clock.now(),
        correlation_id="",
        transaction_key=uuid.UUID(int=0),
        sequence_number=1,
        is_gap=True,
    )
