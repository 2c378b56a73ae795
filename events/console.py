"""What events add to the console: their page, metrics, time line entries, what is found."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.urls import reverse
from django.utils.http import urlencode
from prometheus_client.core import GaugeMetricFamily, Metric

from events import changed_records, registry
from events.logs import get_event_log
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
from isthmus.access.policy import AnyUser
from isthmus.console import timeline
from isthmus.console.finding import MOST_FOUND, Match, register_finder, time_line_or
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import as_number, as_uuid, ids_of_kind
from isthmus.console.registry import (
    Link,
    Page,
    Question,
    register_links,
    register_metrics,
    register_page,
    register_question,
)
from isthmus.console.tones import Status, Tone
from isthmus.objects.capture.shaping import as_changes, readable
from isthmus.objects.console import object_and_number
from isthmus.objects.models import RawChange

__all__ = ["listed", "metrics", "register", "status_of"]

_STATUSES = {
    SubscriptionState.RUNNING: Status("Running", Tone.GOOD),
    SubscriptionState.PAUSED: Status("Paused", Tone.NEUTRAL, "pause"),
    SubscriptionState.RETRYING: Status("Retrying", Tone.WARNING, "retry"),
    SubscriptionState.STOPPED: Status("Stopped", Tone.BAD, "stop"),
}
_PUBLISHED = Status("Published", Tone.GOOD)
_WAITING = Status("Waits for the relay", Tone.WAITING)
# A replay id with its topic before it, however the two are kept apart: `/event/Order_Ready__e 17`.
_PLACE = re.compile(r"(?P<topic>/?[A-Za-z][A-Za-z0-9_/]*?)[\s:#/]+(?P<number>\d{1,18})")


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Event monitor", "events:monitor", "broadcast", 40))
    register_page(Page("Why?", "events:why", "question", 80, covers=("console:why",)))
    register_question(Question("Why did this not fire?", "events:why"))
    register_links(links_of)
    register_metrics(metrics)
    register_live("events", live_mark, channels=(LOGGED,))
    register_live("subscriptions", live_mark_of_subscriptions)
    timeline.register_source(published_entries, finds=correlations_of, recent=latest, details=details_of)
    register_finder(
        "Events by id, by replay id (with or without the topic before it), by transaction key", found_events
    )
    register_finder("Platform events and subscriptions by name", found_names)
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
    """Return the published events under these correlation ids, and the latest changes of records that are named so."""
    wanted = Q(correlation_id__in=correlation_ids)
    # What was changed outside any entrance carries no correlation, and is the record's all the same.
    for record in filter(None, map(object_and_number, correlation_ids)):
        wanted |= Q(pk__in=[change.pk for change in changed_records.latest_changes(*record, limit=limit)])
    found = list(listed().filter(wanted).order_by("replay_id")[:limit])
    changes: dict[Any, int] = {}
    for event in found:
        if event.topic.kind == TopicKind.DATA:
            changes.setdefault(event.transaction_key, event.replay_id)
    return [_entry(event, changes.get(event.transaction_key)) for event in found]


def latest(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest events."""
    return map(_entry, listed().order_by("-replay_id")[:limit])


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation ids of the event of this UUID, or of the latest changes of the record of this id."""
    if given := as_uuid(reference):
        return EventLogEntry.objects.filter(event_uuid=given).values_list("correlation_id", flat=True)
    if record := object_and_number(reference):
        changes = changed_records.latest_changes(*record, limit=timeline.CORRELATIONS_FOLLOWED)
        return [change.correlation_id for change in changes]
    return []


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
            id=f"outbox:{row.pk}",
            lane=timeline.Lane.EVENTS,
            causes=(row.cause,) if row.cause else (),
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
            id=f"change:{change.note}",
            lane=timeline.Lane.CHANGES,
            causes=(change.cause,) if change.cause else (),
        )


def correlations_of_waiting_changes(reference: str) -> Iterable[str]:
    """Return the correlation ids of the changes of the record of this id that are not relayed yet."""
    found = object_and_number(reference)
    if found is None:
        return []
    rows = RawChange.objects.filter(object_name=found[0].api_name, record_pk=found[1]).order_by("-pk")
    return [change.correlation_id for change in as_changes(rows[: timeline.ENTRIES_SHOWN]) if change.correlation_id]


def _entry(event: EventLogEntry, change: int | None = None) -> timeline.Entry:
    """Return the entry of an event; `change`: the first change event of its transaction."""
    is_change = event.topic.kind == TopicKind.DATA
    # What was published in the transaction of a change was committed because of it, or with it.
    of_transaction = f"event:{change}" if change is not None and not is_change else ""
    return timeline.Entry(
        at=event.created_at,
        kind="Change event" if is_change else "Event",
        icon="record" if is_change else "bolt",
        title=_short(event.topic.name),
        status=_PUBLISHED,
        url=reverse("events:event", args=[event.replay_id]),
        detail=f"Replay id {event.replay_id}",
        correlation_id=event.correlation_id,
        id=f"event:{event.replay_id}",
        lane=timeline.Lane.CHANGES if is_change else timeline.Lane.EVENTS,
        causes=tuple(filter(None, [event.cause, of_transaction])),
    )


def found_events(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the event of this UUID or replay id, and those of this transaction."""
    wanted, topic = Q(pk__in=[]), ""
    if given := as_uuid(text):
        wanted = Q(event_uuid=given) | Q(transaction_key=given)
    elif (number := as_number(text)) is not None:
        wanted = Q(replay_id=number)
    elif place := _PLACE.fullmatch(text):
        wanted, topic = Q(replay_id=int(place["number"])), place["topic"].rpartition("/")[2]
    for event in listed().filter(wanted).order_by("replay_id")[: MOST_FOUND + 1]:
        if topic and _short(event.topic.name) != topic:
            continue
        yield Match(
            kind="Change event" if event.topic.kind == TopicKind.DATA else "Event",
            icon="record" if event.topic.kind == TopicKind.DATA else "bolt",
            title=_short(event.topic.name),
            url=time_line_or(
                reverse("events:event", args=[event.replay_id]),
                reference=str(event.event_uuid),
                correlation_id=event.correlation_id,
            ),
            detail=f"Replay id {event.replay_id}, {event.published_at:%Y-%m-%d %H:%M:%S} UTC",
        )


def links_of(_user: AnyUser, reference: str) -> Iterator[Link]:
    """Yield the way from the time line of a record, or of an event, to why it did not fire."""
    if object_and_number(reference) is not None:
        yield Link("Why did it not fire?", "question", f"{reverse('events:why')}?{urlencode({'record': reference})}")
    elif given := as_uuid(reference):
        for replay_id in EventLogEntry.objects.filter(event_uuid=given).values_list("replay_id", flat=True):
            yield Link("Why did it not fire?", "question", f"{reverse('events:why')}?event={replay_id}")


def found_names(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the platform event and the subscription of this name."""
    if event_type := registry.find_event(text):
        url = f"{reverse('events:log')}?topic={event_type.topic}"
        yield Match(kind="Platform event", icon="bolt", title=event_type.api_name, url=url, detail="Its kept events")
    for row in Subscription.objects.filter(name=text):
        url = reverse("events:subscription", args=[row.pk])
        yield Match(kind="Subscription", icon="broadcast", title=row.name, url=url, detail=status_of(row).label)


def details_of(entry_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return what the pages of these events tell."""
    keys = [key for key in map(as_number, ids_of_kind("event", entry_ids)) if key is not None]
    rows = list(EventLogEntry.objects.filter(pk__in=keys).select_related("topic").order_by("replay_id"))
    payloads = get_event_log().payloads_of(rows)
    return {f"event:{row.replay_id}": {**_told(row), "payload": payloads.get(row.replay_id)} for row in rows}


def _told(row: EventLogEntry) -> dict[str, Any]:
    return {
        "replay_id": row.replay_id,
        "topic": row.topic.name,
        "event_uuid": row.event_uuid,
        "schema_id": row.schema_id,
        "created_at": row.created_at,
        "published_at": row.published_at,
        "transaction_key": row.transaction_key,
        "sequence_number": row.sequence_number,
        "correlation_id": row.correlation_id,
        "cause": row.cause,
        "is_gap": row.is_gap,
    }


def _short(topic: str) -> str:
    return topic.rsplit("/", 1)[-1]
