"""How much was published, and how much may be: Salesforce's hourly and daily allocations, as settings.

The relay counts what enters the log, exactly (`EventUsage`). A publisher asks for the sum of what is counted and what
waits at most once a second, and adds what it published itself since. So the limit may be overshot by what other
processes publish within that second, and publishing costs no query.
"""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import F, Sum

from events.conf import options
from events.models import EventUsage, OutboxEvent, Topic, TopicKind
from isthmus import clock
from isthmus.access.limits import Limit

__all__ = ["Allocation", "allocations", "count_published", "forget", "limits", "published_this_hour", "take"]

_LOOK_SECONDS = 1.0
_MEASURES = EventUsage.Measure


class Allocation:
    """What one limit leaves."""

    def __init__(self, label: str, limit: int, used: int, window_ends_at: datetime) -> None:
        self.label = label
        self.limit = limit
        """Events; 0 for no limit."""
        self.used = used
        self.window_ends_at = window_ends_at

    @property
    def remaining(self) -> int | None:
        """Events that may still be published; `None` without a limit."""
        return max(0, self.limit - self.used) if self.limit else None

    @property
    def percent(self) -> int:
        """How much of the limit is used."""
        return min(100, self.used * 100 // self.limit) if self.limit else 0


def allocations() -> list[Allocation]:
    """Return what is left of this hour's and this day's allocation of published platform events."""
    hour = _hour(clock.now())
    day = hour.replace(hour=0)
    counted = dict(
        EventUsage.objects.filter(name=_MEASURES.PLATFORM_EVENTS_PUBLISHED, start_date__gte=day)
        .values_list("start_date")
        .annotate(total=Sum("value"))
    )
    waiting = OutboxEvent.objects.count()
    return [
        Allocation("Hourly", options.hourly_publish_allocation, counted.get(hour, 0) + waiting, hour + _HOUR),
        Allocation("Daily", options.daily_publish_allocation, sum(counted.values()) + waiting, day + timedelta(days=1)),
    ]


def limits() -> list[Limit]:
    """Return the allocations and how much of them is used, and what else bounds events."""
    hourly, daily = allocations()
    return [
        _published(hourly, "hour", "HOURLY", ("HourlyPublishedPlatformEvents", _STANDARD_HOURLY)),
        _published(daily, "day", "DAILY", ("DailyStandardVolumePlatformEvents",)),
        Limit(
            group="Events",
            label="Size of an event",
            maximum=options.max_event_bytes,
            used=None,
            per="one event",
            unit="bytes",
            setting="ISTHMUS_EVENTS_MAX_EVENT_BYTES",
            when_reached="Publishing it fails with LIMIT_EXCEEDED; a change event gives way to a gap event.",
        ),
        *_kept(),
    ]


_STANDARD_HOURLY = "HourlyPublishedStandardVolumePlatformEvents"


def _published(found: Allocation, window: str, setting: str, names: tuple[str, ...]) -> Limit:
    return Limit(
        group="Events",
        label=f"Platform events published in this {window}",
        maximum=found.limit or None,
        used=found.used,
        per=f"one {window} (UTC)",
        setting=f"ISTHMUS_EVENTS_{setting}_PUBLISH_ALLOCATION",
        when_reached=f"Publishing fails with LIMIT_EXCEEDED until the {window} is over.",
        names=names,
        begins_anew_at=found.window_ends_at,
    )


def _kept() -> Iterator[Limit]:
    """Yield what is kept of topics whose size is bounded."""
    for topic in Topic.objects.filter(retention_bytes__gt=0):
        yield Limit(
            group="Events",
            label=f"Kept events of {topic.name}",
            maximum=topic.retention_bytes,
            used=topic.kept_bytes,
            per="the topic",
            unit="bytes",
            setting="the event's definition, in code or in the set-up",
            when_reached="The oldest events are removed, as far as our own subscriptions have handled them.",
        )
    yield Limit(
        group="Storage",
        label="Published events",
        maximum=options.retention_hours,
        used=None,
        per="one event, where its topic says nothing else",
        unit="hours",
        setting="ISTHMUS_EVENTS_RETENTION_HOURS",
        when_reached="It is removed, as far as our own subscriptions have handled it.",
    )


def published_this_hour() -> dict[str, int]:
    """Return how many events of each name entered the log in this hour."""
    published = (_MEASURES.PLATFORM_EVENTS_PUBLISHED, _MEASURES.CHANGE_EVENTS_PUBLISHED)
    rows = EventUsage.objects.filter(name__in=published, start_date=_hour(clock.now()))
    return dict(rows.values_list("event_name", "value"))


def take(wanted: int) -> Allocation | None:
    """Take `wanted` events from the allocations; return the one that is used up, with nothing taken, or `None`."""
    if not options.hourly_publish_allocation and not options.daily_publish_allocation:
        return None
    return _estimate.take(wanted)


class _Estimate:
    """What this process knows of the allocations."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[Allocation] = []
        self._look_again_at = 0.0

    def take(self, wanted: int) -> Allocation | None:
        with self._lock:
            now = clock.monotonic_seconds()
            if now >= self._look_again_at or any(found.window_ends_at <= clock.now() for found in self._known):
                self._known, self._look_again_at = allocations(), now + _LOOK_SECONDS
            for found in self._known:
                if found.remaining is not None and found.remaining < wanted:
                    return found
            for found in self._known:
                found.used += wanted
        return None

    def forget(self) -> None:
        self._look_again_at = 0.0


_estimate = _Estimate()


def forget() -> None:
    """Ask the database again (its tables were emptied)."""
    _estimate.forget()


def count_published(topic: Topic, number: int) -> None:
    """Add to this hour that so many events of the topic entered the log. Part of the relay's transaction."""
    is_change = topic.kind == TopicKind.DATA
    name = _MEASURES.CHANGE_EVENTS_PUBLISHED if is_change else _MEASURES.PLATFORM_EVENTS_PUBLISHED
    hour, event_name = _hour(clock.now()), topic.name.rpartition("/")[2]
    rows = EventUsage.objects.filter(name=name, event_name=event_name, start_date=hour)
    if rows.update(value=F("value") + number):
        return
    EventUsage.objects.bulk_create(
        [EventUsage(name=name, event_name=event_name, start_date=hour, end_date=hour + _HOUR)], ignore_conflicts=True
    )
    rows.update(value=F("value") + number)


_HOUR = timedelta(hours=1)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
