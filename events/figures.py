"""What events count, what of them waits, and what about them needs a person."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Max, Min, QuerySet
from django.urls import reverse

from events import usage
from events.conf import options
from events.console import status_of
from events.logs import get_event_log
from events.models import (
    EventLogEntry,
    OutboxEvent,
    ParkedEvent,
    ParkedState,
    Subscription,
    SubscriptionState,
    TopicKind,
)
from events.subscribers import Event
from isthmus import clock
from isthmus.access.limits import register_limits
from isthmus.console import charts, overview
from isthmus.console.charts import Chart
from isthmus.console.connections import Broker, Connection, register_broker, register_connections
from isthmus.console.overview import Need, Today, Urgency, Waiting
from isthmus.console.rollups import counting, reading
from isthmus.console.rollups.series import Kind, Sample, Series, register_series
from isthmus.console.rollups.spans import Span
from isthmus.jobs import processes
from isthmus.objects.models import RawChange

__all__ = ["charts_of_log", "charts_of_monitor", "count_delivered", "register"]

PUBLISHED, DELIVERED = "events.published", "events.delivered"
_HANDLED, _FAILED = "handled", "failed"
_DELIVERED = Series(
    name=DELIVERED,
    subject="Events delivered to subscriptions",
    kinds=(Kind(name=_HANDLED, label="handled", tone="good"), Kind(name=_FAILED, label="tries failed", tone="bad")),
    # A delivery leaves no row but the cursor's.
    measure=None,
)
_BEHIND_LATE_SECONDS = 60.0


def register() -> None:
    """Join the roll-up, the home page, *Limits* and *Connections*; called once, when the app is ready."""
    kinds = (
        Kind(name=TopicKind.EVENT, label="platform events", tone="busy"),
        Kind(name=TopicKind.DATA, label="change events", tone="good"),
    )
    register_series(
        Series(
            name=PUBLISHED,
            subject="Events",
            kinds=kinds,
            measure=_published,
            first_since=_first_event_since,
            # The moment is that of the move into the log, which commits at once.
            settles_after=timedelta(minutes=5),
        )
    )
    register_series(_DELIVERED)
    overview.register_today(Today(label="Events published", series=PUBLISHED, url_name="events:log", query="since=24h"))
    overview.register_today(
        Today(label="Events handled", series=DELIVERED, kinds=(_HANDLED,), url_name="events:monitor")
    )
    overview.register_needs(_needs)
    overview.register_waiting(_waiting)
    overview.register_home_chart(_by_kind)
    register_connections(_connections)
    register_limits(usage.limits)
    register_broker(
        Broker(name="event_log", label="Event log", url_name="events:monitor", detail=_log_kind, ask=_ask_log)
    )


def charts_of_monitor(span: Span) -> list[Chart]:
    """Return the charts of the event monitor."""
    return [
        _by_kind(span),
        charts.durations("lag", PUBLISHED, span, title="Time from commit to the log", what="events took"),
        charts.counts("delivered", DELIVERED, span, title="Events delivered to subscriptions"),
        charts.durations(
            "handled", DELIVERED, span, title="Time from commit to handled", what="deliveries took", only=(_HANDLED,)
        ),
    ]


def charts_of_log(event_name: str, span: Span) -> list[Chart]:
    """Return the charts of one event, or of all ("")."""
    return [_by_kind(span, scope=event_name)]


def count_delivered(subscription: str, events: Sequence[Event], *, has_failed: bool) -> None:
    """Count events that a subscription has dealt with, and the try that failed after them.

    Part of the transaction that moves its cursor, which holds its row.
    """
    now = clock.now()
    took = [(now - event.created_at) / timedelta(milliseconds=1) for event in events]
    counting.add(_DELIVERED, scope=subscription, kind=_HANDLED, durations=took)
    if has_failed:
        counting.add(_DELIVERED, scope=subscription, kind=_FAILED, durations=[None])


def _by_kind(span: Span, *, scope: str = "") -> Chart:
    return charts.counts("published", PUBLISHED, span, title="Events published", scope=scope)


def _published(begin: datetime, end: datetime) -> Iterator[Sample]:
    entries = EventLogEntry.objects.filter(published_at__gte=begin, published_at__lt=end).order_by()
    rows = entries.values_list("published_at", "created_at", "topic__name", "topic__kind")
    for published_at, created_at, topic, kind in rows.iterator(chunk_size=2_000):
        took = max(0.0, (published_at - created_at) / timedelta(milliseconds=1))
        yield Sample(at=published_at, kind=kind, scope=topic.rpartition("/")[2], milliseconds=took)


def _first_event_since(moment: datetime) -> datetime | None:
    entries = EventLogEntry.objects.filter(published_at__gte=moment).order_by("published_at")
    return entries.values_list("published_at", flat=True).first()


def _needs() -> Iterator[Need]:
    yield from _bus_needs()
    for row in _held_up():
        is_stopped = row.state == SubscriptionState.STOPPED
        yield Need(
            title=f"{row.name} {'has stopped' if is_stopped else f'failed {row.failures:,} times in a row'}",
            urgency=Urgency.BROKEN,
            url=reverse("events:subscription", args=[row.pk]),
            advice="See why, and decide where it goes on." if is_stopped else "See why; it is tried again by itself.",
            since=row.last_success_at,
        )
    parked = ParkedEvent.objects.filter(state=ParkedState.PARKED).aggregate(number=Count("pk"), oldest=Min("parked_at"))
    if number := parked["number"]:
        yield Need(
            title=f"{number:,} event{'s are' if number > 1 else ' is'} parked",
            urgency=Urgency.UNDECIDED,
            url=reverse("events:parked"),
            advice="A subscriber could not handle what is parked. Drive it again, or give it up.",
            since=parked["oldest"],
        )


def _held_up() -> QuerySet[Subscription]:
    stopped = Subscription.objects.filter(state=SubscriptionState.STOPPED)
    failing = Subscription.objects.filter(state=SubscriptionState.RETRYING, failures__gte=options.failure_retries)
    return stopped | failing


def _bus_needs() -> Iterator[Need]:
    beat = processes.last_beat("bus")
    if beat is not None and (clock.now() - beat.beat_at).total_seconds() <= options.silent_seconds:
        return
    yield Need(
        title="No event bus runs",
        urgency=Urgency.NOW,
        url=reverse("events:monitor"),
        advice="Start `manage.py bus`: events wait for the relay, and subscriptions for events, until one runs.",
        since=beat.beat_at if beat else None,
    )


def _waiting() -> Iterator[Waiting]:
    for label, rows in (("Events to relay", OutboxEvent.objects), ("Record changes to relay", RawChange.objects)):
        # By id, which has an index; rows are written in about the order of their ids.
        yield Waiting(
            label=label,
            number=rows.count(),
            since=rows.order_by("id").values_list("created_at", flat=True).first(),
            url=reverse("events:monitor"),
            late_after_seconds=options.relay_alarm_seconds,
            hint="committed, and not in the log",
        )
    behind = Subscription.objects.behind().aggregate(number=Count("pk"), oldest=Min("waiting_since"))
    yield Waiting(
        label="Subscriptions behind",
        number=behind["number"],
        since=behind["oldest"],
        url=reverse("events:monitor"),
        late_after_seconds=_BEHIND_LATE_SECONDS,
        hint="the oldest event that one has not handled",
    )


def _connections() -> Iterator[Connection]:
    lately, last = reading.of_scopes(DELIVERED), reading.last_of_scopes(DELIVERED)
    rows: Any = Subscription.objects.select_related("topic").annotate(parked_at=Max("parked_events__parked_at"))
    for row in rows.order_by(F("name")):
        found = lately.get(row.name)
        failures = [moment for moment in (last.get((row.name, _FAILED)), row.parked_at) if moment is not None]
        yield Connection(
            kind="Subscriptions",
            name=row.name,
            detail=row.topic.name,
            status=status_of(row),
            url=reverse("events:subscription", args=[row.pk]),
            last_success_at=row.last_success_at,
            last_failure_at=max(failures, default=None),
            failure=row.last_error.partition("\n")[0],
            p95_ms=found.durations.percentile(95) if found else None,
            number=found.numbers.get(_HANDLED, 0) if found else 0,
        )


def _log_kind() -> str:
    return (
        "NATS JetStream" if settings.ISTHMUS_EVENT_LOG_URL.startswith(("nats:", "tls:")) else "tables of the database"
    )


def _ask_log() -> None:
    get_event_log().ask()
