"""What events add to the console: their page, metrics and time line entries."""

import json
from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Count, Q, QuerySet, Sum
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from events.logs.base import LOGGED
from events.models import (
    EventLogEntry,
    OutboxEvent,
    ParkedEvent,
    ParkedState,
    Subscription,
    SubscriptionState,
    Topic,
    TopicKind,
)
from isthmus.console import timeline
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import as_uuid
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone
from isthmus.objects.capture.shaping import as_changes, readable
from isthmus.objects.errors import MalformedId
from isthmus.objects.models import RawChange
from isthmus.objects.record_ids import decode
from isthmus.objects.registry import object_of_prefix

__all__ = ["listed", "metrics", "register", "status_of"]

_STATUSES = {
    SubscriptionState.RUNNING: Status("Running", Tone.GOOD),
    SubscriptionState.PAUSED: Status("Paused", Tone.NEUTRAL, "pause"),
    SubscriptionState.RETRYING: Status("Retrying", Tone.WARNING, "retry"),
    SubscriptionState.STOPPED: Status("Stopped", Tone.BAD, "stop"),
}
_PUBLISHED = Status("Published", Tone.GOOD)
_WAITING = Status("Waits for the relay", Tone.WAITING)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Event monitor", "events:monitor", "broadcast", 40))
    register_metrics(metrics)
    register_live("events", live_mark, channels=(LOGGED,))
    register_live("subscriptions", live_mark_of_subscriptions)
    timeline.register_source(published_entries, finds=correlations_of, recent=latest)
    timeline.register_source(waiting_events)
    timeline.register_source(waiting_changes, finds=correlations_of_waiting_changes)


def live_mark() -> object:
    """Return another value when events have entered the log or left it."""
    return list(Topic.objects.values_list("pk", "last_replay_id", "kept_events")), newest(
        EventLogEntry.objects.all(), "replay_id"
    )


def live_mark_of_subscriptions() -> object:
    """Return another value when a subscription got on or was steered, an event was parked, or one waits."""
    return (
        list(Subscription.objects.values_list("pk", "state", "cursor", "failures", "next_attempt_at")),
        few(ParkedEvent.objects.filter(state=ParkedState.PARKED)).aggregate(Count("pk"), Sum("failures")),
        newest(ParkedEvent.objects.all(), "pk"),
        newest(OutboxEvent.objects.all(), "pk"),
        newest(RawChange.objects.all(), "pk"),
    )


def status_of(subscription: Subscription) -> Status:
    """Return what a subscription does, as a chip shows it."""
    return _STATUSES[SubscriptionState(subscription.state)]


def listed() -> QuerySet[EventLogEntry]:
    """Return the kept events with what lists show, and no payload."""
    return EventLogEntry.objects.select_related("topic").defer("payload")


def metrics() -> Iterator[Metric]:
    """Yield what waits for the relay, how far each topic is, and how far behind each subscription."""
    outbox = GaugeMetricFamily("isthmus_outbox_depth", "Rows that wait for the relay.", labels=["table"])
    outbox.add_metric(["events"], OutboxEvent.objects.count())
    outbox.add_metric(["changes"], RawChange.objects.count())
    yield outbox
    newest = GaugeMetricFamily("isthmus_topic_last_replay_id", "Replay id of the newest event.", labels=["topic"])
    complete = GaugeMetricFamily(
        "isthmus_topic_complete_until_seconds",
        "Every event that was committed by then is in the log.",
        labels=["topic"],
    )
    for topic in Topic.objects.filter(kind__in=TopicKind.of_their_own()):
        newest.add_metric([topic.name], topic.last_replay_id)
        if topic.complete_until is not None:
            complete.add_metric([topic.name], topic.complete_until.timestamp())
    yield newest
    yield complete
    lag = GaugeMetricFamily("isthmus_subscription_lag", "Kept events not handled yet.", labels=["subscription"])
    for subscription in Subscription.objects.with_lag():
        lag.add_metric([subscription.name], subscription.lag)  # type: ignore[attr-defined]  # annotated by with_lag
    yield lag


def published_entries(correlation_ids: Sequence[str], limit: int) -> Iterable[timeline.Entry]:
    """Return the published events under these correlation ids."""
    return map(_entry, listed().filter(correlation_id__in=correlation_ids).order_by("replay_id")[:limit])


def latest(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest events."""
    return map(_entry, listed().order_by("-replay_id")[:limit])


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation id of the event of this UUID."""
    given = as_uuid(reference)
    if given is None:
        return []
    return EventLogEntry.objects.filter(event_uuid=given).values_list("correlation_id", flat=True)


def waiting_events(correlation_ids: Sequence[str], limit: int) -> Iterator[timeline.Entry]:
    """Yield the events under these correlation ids that are not relayed yet."""
    for row in (
        OutboxEvent.objects.filter(correlation_id__in=correlation_ids)
        .select_related("topic")
        .defer("payload")
        .order_by("pk")[:limit]
    ):
        yield timeline.Entry(
            at=row.created_at,
            kind="Event",
            icon="bolt",
            title=_short(row.topic.name),
            status=_WAITING,
            url="",
            correlation_id=row.correlation_id,
        )


def waiting_changes(correlation_ids: Sequence[str], limit: int) -> Iterator[timeline.Entry]:
    """Yield the record changes under these correlation ids that are not relayed yet."""
    wanted = Q()
    for correlation_id in correlation_ids:
        wanted |= Q(context__contains=json.dumps(correlation_id))
    for change in as_changes(
        RawChange.objects.filter(wanted, readable()).order_by("pk")[:limit] if correlation_ids else ()
    ):
        yield timeline.Entry(
            at=change.occurred_at,
            kind="Change",
            icon="record",
            title=f"{change.object_name} {change.change_type.lower()}",
            status=_WAITING,
            url="",
            detail=change.record_id,
            correlation_id=change.correlation_id,
        )


def correlations_of_waiting_changes(reference: str) -> Iterable[str]:
    """Return the correlation ids of the changes of the record of this id that are not relayed yet."""
    try:
        prefix, number = decode(reference)
    except MalformedId:
        return []
    changed = object_of_prefix(prefix)
    if changed is None:
        return []
    rows = RawChange.objects.filter(object_name=changed.api_name, record_pk=number).order_by("-pk")
    return [change.correlation_id for change in as_changes(rows[: timeline.ENTRIES_SHOWN]) if change.correlation_id]


def _entry(event: EventLogEntry) -> timeline.Entry:
    is_change = event.topic.kind == "data"
    return timeline.Entry(
        at=event.created_at,
        kind="Change event" if is_change else "Event",
        icon="record" if is_change else "bolt",
        title=_short(event.topic.name),
        status=_PUBLISHED,
        url=reverse("events:event", args=[event.replay_id]),
        detail=f"Replay id {event.replay_id}",
        correlation_id=event.correlation_id,
    )


def _short(topic: str) -> str:
    return topic.rsplit("/", 1)[-1]
