"""The event log in tables of the database."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from events import topics as known_topics
from events import usage
from events.errors import UnknownTopic
from events.json_text import encode
from events.logs.base import Ends, EventLog, NewEvent, Retention
from events.logs.database_moves import move_staged
from events.models import ChangedRecord, EventLogEntry, Topic, TopicKind
from events.series import REPLAY_SERIES, advance, lock
from events.subscribers import Event
from isthmus import clock

__all__ = ["DatabaseEventLog", "add_entries", "entry_of", "event_of", "known_places"]

# Keeps statements below the databases' limits on parameters.
_STATEMENT_ROWS = 2_000


class DatabaseEventLog(EventLog):
    """Numbers events under the lock of one row, so that numbers become visible in their order."""

    def append(self, events: Sequence[NewEvent]) -> list[int]:
        with transaction.atomic(savepoint=False):
            last = lock(REPLAY_SERIES)
            replay_ids: dict[uuid.UUID, int] = {}
            known = known_topics.ensure({event.topic for event in events})
            now = clock.now()
            for some in _batched(events, _STATEMENT_ROWS):
                replay_ids.update(known_places([event.event_uuid for event in some]))
                new = {event.event_uuid: event for event in some if event.event_uuid not in replay_ids}
                replay_ids.update(self._add(list(new.values()), last, known, now))
                last = max([last, *replay_ids.values()])
            if replay_ids:
                advance(REPLAY_SERIES, last)
        return [replay_ids[event.event_uuid] for event in events]

    def _add(
        self, events: Sequence[NewEvent], last: int, known: Mapping[str, Topic], now: datetime
    ) -> dict[uuid.UUID, int]:
        """Put events, none of which is there, after `last`; return their replay ids by UUID."""
        entries = [
            entry_of(event, last + place, known[event.topic], now) for place, event in enumerate(events, start=1)
        ]
        add_entries(entries)
        return {entry.event_uuid: entry.replay_id for entry in entries}

    def find(self, replay_id: int) -> Event | None:
        entry = EventLogEntry.objects.filter(pk=replay_id).select_related("topic").first()
        return event_of(entry) if entry is not None else None

    def take_staged(self, limit: int) -> int:
        return move_staged(connection, limit=limit, now=clock.now())

    def newest(self) -> int:
        return Topic.objects.aggregate(newest=Max("last_replay_id"))["newest"] or 0

    def _read(self, topics: Sequence[str], *, after: int, limit: int) -> tuple[list[Event], Mapping[str, Ends]]:
        entries = _of_topics(topics).filter(replay_id__gt=after).select_related("topic")
        found = list(entries.order_by("replay_id")[:limit])
        events = [event_of(entry) for entry in found]
        # Known from the events of one topic; otherwise asked after them, so that a trim in between is noticed.
        if len(topics) == 1 and found:
            return events, {found[0].topic.name: Ends(found[0].topic.trimmed_replay_id, found[-1].replay_id)}
        return events, self._ends(topics)

    def _ends(self, topics: Iterable[str]) -> Mapping[str, Ends]:
        rows = Topic.objects.filter(name__in=list(topics))
        found = rows.values_list("name", "trimmed_replay_id", "last_replay_id")
        return {name: Ends(trimmed, last) for name, trimmed, last in found}

    def _newest_before(self, topics: Sequence[str], moment: datetime) -> int | None:
        before = _of_topics(topics).filter(published_at__lt=moment)
        return before.order_by("-published_at", "-replay_id").values_list("replay_id", flat=True).first()

    def _change_topics(self) -> Iterable[str]:
        return Topic.objects.filter(kind=TopicKind.DATA).values_list("name", flat=True)

    def trim(self, topic: str, rule: Retention, *, limit: int, kept_after: int | None = None) -> int:
        found = _topic(topic)
        end = max(_end_by_time(found, rule.before), _end_by_size(found, rule.bytes_kept, limit))
        if kept_after is not None:
            end = min(end, kept_after)
        if end <= found.trimmed_replay_id:
            return 0
        # First nobody may read them any more, then they go: a reader who comes between sees that they are gone. No
        # lock is held but on the topic's row, for one batch.
        with transaction.atomic(savepoint=False):
            found = Topic.objects.select_for_update().get(pk=found.pk)
            rows = EventLogEntry.objects.filter(topic=found, replay_id__lte=end).order_by("replay_id")
            removed = list(rows.values_list("replay_id", "size")[:limit])
            if not removed:
                return 0
            last, size = removed[-1][0], sum(size for _, size in removed)
            unchecked = [replay_id for replay_id, _ in removed if replay_id > found.complete_replay_id]
            Topic.objects.filter(pk=found.pk).update(
                trimmed_replay_id=last,
                kept_events=F("kept_events") - len(removed),
                kept_bytes=F("kept_bytes") - size,
                # They were there: that is all a check would have found.
                complete_replay_id=max(found.complete_replay_id, last),
                complete_events=F("complete_events") + len(unchecked),
            )
            EventLogEntry.objects.filter(topic=found, replay_id__lte=last).delete()
            ChangedRecord.objects.filter(topic=found, replay_id__lte=last).delete()
        return len(removed)

    def check(self, topic: str) -> int:
        # One statement: what enters the log meanwhile is in all of its numbers or in none.
        rows = _with_count(topic, after="complete_replay_id")
        row = rows.values_list(
            "pk", "logged_events", "last_replay_id", "complete_events", "complete_replay_id", "found"
        ).first()
        if row is None:
            raise UnknownTopic(f"There is no topic named {topic!r}.")
        topic_id, logged, last, known, complete, found = row
        if last == complete:
            return 0
        # Only on from where it was looked at: a trim, or another checker, may have been faster.
        looked_at = Topic.objects.filter(pk=topic_id, complete_replay_id=complete, complete_events=known)
        is_ours = looked_at.update(complete_replay_id=last, complete_events=logged)
        return max(0, logged - known - found) if is_ours else 0

    def recount(self, topic: str) -> int:
        row = _with_count(topic, after="trimmed_replay_id").values_list("kept_events", "found").first()
        if row is None:
            raise UnknownTopic(f"There is no topic named {topic!r}.")
        kept, found = row
        return int(max(0, kept - found))

    def ensure_topics(self, topics: Iterable[str]) -> None:
        known_topics.ensure(topics)


def _of_topics(topics: Sequence[str]) -> QuerySet[EventLogEntry]:
    # One topic by its name alone: then the index on topic and place serves.
    return EventLogEntry.objects.filter(
        **({"topic__name": topics[0]} if len(topics) == 1 else {"topic__name__in": topics})
    )


def _with_count(topic: str, *, after: str) -> QuerySet[Any]:
    """Return the topic with the number of its events after the one that a field of it names, as `found`."""
    entries = EventLogEntry.objects.filter(topic=OuterRef("pk"), replay_id__gt=OuterRef(after)).order_by()
    number = entries.values("topic").annotate(number=Count("*")).values("number")
    return Topic.objects.filter(name=topic).annotate(found=Coalesce(Subquery(number), 0))


def _end_by_time(topic: Topic, before: datetime) -> int:
    """Return the newest event that is old enough.

    Up to a number, not by time: a clock that was set back must not tear holes into a topic.
    """
    old = EventLogEntry.objects.filter(topic=topic, published_at__lt=before)
    return old.order_by("-published_at", "-replay_id").values_list("replay_id", flat=True).first() or 0


def _end_by_size(topic: Topic, bytes_kept: int | None, limit: int) -> int:
    """Return the event up to which the oldest have to go, as far as `limit` events reach."""
    surplus = 0 if bytes_kept is None else topic.kept_bytes - bytes_kept
    if surplus <= 0:
        return 0
    end = 0
    oldest = EventLogEntry.objects.filter(topic=topic).order_by("replay_id").values_list("replay_id", "size")
    for replay_id, size in oldest[:limit]:
        if surplus <= 0:
            break
        end, surplus = replay_id, surplus - size
    return end


def _batched(events: Sequence[NewEvent], size: int) -> Iterator[Sequence[NewEvent]]:
    return (events[start : start + size] for start in range(0, len(events), size))


def known_places(event_uuids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the replay ids of those of these events that are in the log."""
    return dict(EventLogEntry.objects.filter(event_uuid__in=event_uuids).values_list("event_uuid", "replay_id"))


def entry_of(event: NewEvent, replay_id: int, topic: Topic, now: datetime) -> EventLogEntry:
    """Return the row of an event at its place."""
    return EventLogEntry(
        replay_id=replay_id,
        topic=topic,
        event_uuid=event.event_uuid,
        schema_id=event.schema_id,
        payload=event.payload,
        size=len(encode(event.payload).encode()),
        created_at=event.created_at,
        published_at=now,
        correlation_id=event.correlation_id,
        transaction_key=event.transaction_key,
        sequence_number=event.sequence_number,
        is_gap=event.is_gap,
        cause=event.cause,
    )


def add_entries(entries: Sequence[EventLogEntry]) -> None:
    """Store new entries, in their order, and let the topics know what they hold now."""
    EventLogEntry.objects.bulk_create(entries)
    by_topic: dict[int, list[EventLogEntry]] = {}
    for entry in entries:
        by_topic.setdefault(entry.topic_id, []).append(entry)
    for topic_id, found in sorted(by_topic.items()):
        _move_end(topic_id, found[-1].replay_id, len(found), sum(entry.size for entry in found))
        usage.count_published(found[0].topic, len(found))


def _move_end(topic_id: int, last_replay_id: int, events: int, size: int) -> None:
    Topic.objects.filter(pk=topic_id).update(
        last_replay_id=last_replay_id,
        logged_events=F("logged_events") + events,
        kept_events=F("kept_events") + events,
        kept_bytes=F("kept_bytes") + size,
    )


def event_of(entry: EventLogEntry) -> Event:
    """Return the event of a row, which has its topic."""
    return Event(
        replay_id=entry.replay_id,
        event_uuid=entry.event_uuid,
        topic=entry.topic.name,
        schema_id=entry.schema_id,
        payload=entry.payload,
        created_at=entry.created_at,
        correlation_id=entry.correlation_id,
        transaction_key=entry.transaction_key,
        sequence_number=entry.sequence_number,
        is_gap=entry.is_gap,
    )


def _topic(name: str) -> Topic:
    try:
        return Topic.objects.get(name=name)
    except Topic.DoesNotExist:
        raise UnknownTopic(f"There is no topic named {name!r}.") from None
