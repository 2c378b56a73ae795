"""The lists of events, subscriptions, topics and parked events."""

from django.contrib.auth.models import User
from django.db.models import Q

from events import actions, parking
from events.console import listed, status_of
from events.models import EventLogEntry, ParkedEvent, ParkedState, Subscription, SubscriptionState, Topic
from events.views import EventFilters, ParkedFilters, parked_events
from isthmus.console.bulk import BulkAct, register_acts
from isthmus.console.listings import Column, QueryListing, register_listing

__all__ = ["EVENTS", "PARKED_EVENTS", "SUBSCRIPTIONS", "TOPICS", "register"]

EVENTS: QueryListing[EventLogEntry, EventLogEntry] = QueryListing(
    name="events",
    label="Events",
    url_name="events:log",
    rows=listed,
    filters=EventFilters,
    moment=None,
    columns=(
        Column("replay_id", "Replay id", lambda event: event.replay_id),
        Column("topic", "Topic", lambda event: event.topic.name),
        Column("event_uuid", "Event", lambda event: event.event_uuid),
        Column("correlation_id", "Correlation", lambda event: event.correlation_id),
        Column("created_at", "Created", lambda event: event.created_at),
        Column("published_at", "Published", lambda event: event.published_at),
    ),
)
SUBSCRIPTIONS: QueryListing[Subscription, Subscription] = QueryListing(
    name="subscriptions",
    label="Subscriptions",
    url_name="events:monitor",
    rows=Subscription.objects.with_lag,
    moment=None,
    columns=(
        Column("id", "Id", lambda row: row.pk),
        Column("name", "Subscription", lambda row: row.name),
        Column("topic", "Topic", lambda row: row.topic.name),
        Column("state", "State", status_of),
        Column("behind", "Behind", lambda row: row.lag),  # type: ignore[attr-defined]  # annotated by with_lag
        Column("waits_since", "Oldest waits since", lambda row: row.waiting_since),  # type: ignore[attr-defined]  # as above
        Column("parked", "Parked", lambda row: row.parked),  # type: ignore[attr-defined]  # as above
        Column("last_success_at", "Last success", lambda row: row.last_success_at),
        Column("failures", "Failures", lambda row: row.failures),
        Column("last_error", "Last error", lambda row: row.last_error),
    ),
)
TOPICS: QueryListing[Topic, Topic] = QueryListing(
    name="topics",
    label="Topics",
    url_name="events:monitor",
    rows=Topic.objects.all,
    moment=None,
    columns=(
        Column("name", "Topic", lambda topic: topic.name),
        Column("kind", "Carries", lambda topic: topic.get_kind_display()),
        Column("kept_events", "Kept events", lambda topic: topic.kept_events),
        Column("kept_bytes", "Size", lambda topic: topic.kept_bytes),
        Column("retention_hours", "Kept for (h)", lambda topic: topic.retention_hours),
        Column("last_replay_id", "Newest replay id", lambda topic: topic.last_replay_id),
        Column("complete_until", "Complete until", lambda topic: topic.complete_until),
    ),
)
PARKED_EVENTS: QueryListing[ParkedEvent, ParkedEvent] = QueryListing(
    name="parked-events",
    label="Parked events",
    url_name="events:parked",
    rows=parked_events,
    filters=ParkedFilters,
    moment=None,
    columns=(
        Column("id", "Number", lambda row: row.pk),
        Column("subscription", "Subscription", lambda row: row.subscription.name),
        Column("topic", "Topic", lambda row: row.topic_name),
        Column("replay_id", "Replay id", lambda row: row.replay_id),
        Column("event_uuid", "Event", lambda row: row.event_uuid),
        Column("error", "Error", lambda row: row.error),
        Column("tries", "Tries", lambda row: row.failures),
        Column("correlation_id", "Correlation", lambda row: row.correlation_id),
        Column("parked_at", "Parked", lambda row: row.parked_at),
    ),
)


def _redrive(row: ParkedEvent, _user: User) -> str:
    if parking.redrive(row):
        return ""
    row.refresh_from_db()
    return f"It failed again: {row.error}"


def _discard(row: ParkedEvent, _user: User) -> str:
    parking.discard(row)
    return ""


def _pause(row: Subscription, _user: User) -> str:
    actions.pause(row)
    return ""


def _resume(row: Subscription, _user: User) -> str:
    actions.resume(row)
    return ""


_PARKED_ACTS: tuple[BulkAct[ParkedEvent], ...] = (
    BulkAct(
        name="redrive",
        label="Re-drive",
        icon="retry",
        told="Each parked event is given to its subscriber once more. What fails again stays parked.",
        suits=lambda: Q(state=ParkedState.PARKED),
        perform=_redrive,
    ),
    BulkAct(
        name="discard",
        label="Discard",
        icon="stop",
        told="Each parked event is given up: its subscriber never handles it.",
        suits=lambda: Q(state=ParkedState.PARKED),
        perform=_discard,
        is_grave=True,
    ),
)
_SUBSCRIPTION_ACTS: tuple[BulkAct[Subscription], ...] = (
    BulkAct(
        name="pause",
        label="Pause",
        icon="pause",
        told="Each subscription rests where it is; events wait for it.",
        suits=lambda: Q(state__in=(SubscriptionState.RUNNING, SubscriptionState.RETRYING)),
        perform=_pause,
    ),
    BulkAct(
        name="resume",
        label="Resume",
        icon="play",
        told="Each subscription that rests or retries goes on at once, where it was.",
        suits=lambda: Q(state__in=(SubscriptionState.PAUSED, SubscriptionState.RETRYING)),
        perform=_resume,
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(EVENTS, SUBSCRIPTIONS, TOPICS, PARKED_EVENTS)
    register_acts(PARKED_EVENTS.name, *_PARKED_ACTS)
    register_acts(SUBSCRIPTIONS.name, *_SUBSCRIPTION_ACTS)
