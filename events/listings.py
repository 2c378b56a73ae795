"""The lists of events, subscriptions, topics and parked events."""

from events.console import listed, status_of
from events.models import EventLogEntry, ParkedEvent, Subscription, Topic
from events.views import EventFilters, ParkedFilters, parked_events
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


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(EVENTS, SUBSCRIPTIONS, TOPICS, PARKED_EVENTS)
