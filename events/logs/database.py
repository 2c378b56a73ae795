"""The event log in tables of the database."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q

from events.errors import ReplayIdExpired, UnknownTopic
from events.logs.base import EventLog, NewEvent
from events.models import EventLogEntry, Topic, TopicKind
from events.names import UNION_TOPIC, topic_kind
from events.series import REPLAY_SERIES, advance, lock
from events.subscribers import Event
from isthmus import clock

__all__ = ["DatabaseEventLog"]

# Keeps statements below the databases' limits on parameters.
_STATEMENT_ROWS = 2_000


class DatabaseEventLog(EventLog):
    """Numbers events under the lock of one row, so that numbers become visible in their order."""

    def append(self, events: Sequence[NewEvent]) -> list[int]:
        with transaction.atomic(savepoint=False):
            last = lock(REPLAY_SERIES)
            replay_ids: dict[uuid.UUID, int] = {}
            newest: dict[str, int] = {}
            topics = self._topics({event.topic for event in events})
            now = clock.now()
            for some in _batched(events, _STATEMENT_ROWS):
                replay_ids.update(_known([event.event_uuid for event in some]))
                entries = []
                for event in some:
                    if event.event_uuid in replay_ids:
                        continue
                    last += 1
                    replay_ids[event.event_uuid] = newest[event.topic] = last
                    entries.append(_entry(event, last, topics[event.topic], now))
                EventLogEntry.objects.bulk_create(entries)
            if newest:
                advance(REPLAY_SERIES, last)
                _move_ends(topics, newest)
        return [replay_ids[event.event_uuid] for event in events]

    def read(self, topic: str, *, after: int, limit: int) -> list[Event]:
        entries = EventLogEntry.objects.of_topic(topic).filter(replay_id__gt=after)
        found = [_event(entry) for entry in entries.select_related("topic").order_by("replay_id")[:limit]]
        # Asked after the events, so that a trim between the two statements is noticed.
        if after < self.earliest(topic):
            raise ReplayIdExpired(
                f"Events of {topic} after replay id {after} are no longer kept; the oldest that can be read follow "
                f"{self.earliest(topic)}."
            )
        return found

    def earliest(self, topic: str) -> int:
        if topic == UNION_TOPIC:
            trimmed = Topic.objects.filter(kind=TopicKind.DATA).aggregate(newest=Max("trimmed_replay_id"))["newest"]
            return trimmed or 0
        return _topic(topic).trimmed_replay_id

    def latest(self, topic: str) -> int:
        return _topic(topic).last_replay_id

    def latest_of(self, topics: Iterable[str]) -> dict[str, int]:
        return dict(Topic.objects.filter(name__in=list(topics)).values_list("name", "last_replay_id"))

    def trim(self, *, before: datetime, limit: int, kept_after: Mapping[str, int]) -> int:
        # Up to a number, not by time: a clock that was set back must not tear holes into a topic.
        newest = EventLogEntry.objects.filter(published_at__lt=before).order_by("-published_at", "-replay_id").first()
        if newest is None:
            return 0
        with transaction.atomic(savepoint=False):
            lock(REPLAY_SERIES)
            removable = EventLogEntry.objects.filter(replay_id__lte=newest.replay_id)
            for topic, position in kept_after.items():
                removable = removable.exclude(_of_topic(topic) & Q(replay_id__gt=position))
            removed = list(removable.order_by("replay_id").values_list("topic_id", "replay_id")[:limit])
            for topic_id, end in sorted(dict(removed).items()):
                Topic.objects.filter(pk=topic_id, trimmed_replay_id__lt=end).update(trimmed_replay_id=end)
            EventLogEntry.objects.filter(replay_id__in=[replay_id for _, replay_id in removed]).delete()
        return len(removed)

    def ensure_topics(self, topics: Iterable[str]) -> None:
        self._topics(set(topics))

    def _topics(self, names: set[str]) -> dict[str, Topic]:
        """Return the topics by name, the union among them; make those that are missing."""
        wanted = {*names, UNION_TOPIC}
        found = {topic.name: topic for topic in Topic.objects.filter(name__in=wanted)}
        if missing := sorted(wanted - found.keys()):
            Topic.objects.bulk_create(
                [Topic(name=name, kind=topic_kind(name)) for name in missing], ignore_conflicts=True
            )
            found = {topic.name: topic for topic in Topic.objects.filter(name__in=wanted)}
        return found


def _batched(events: Sequence[NewEvent], size: int) -> Iterable[Sequence[NewEvent]]:
    return (events[start : start + size] for start in range(0, len(events), size))


def _known(event_uuids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    return dict(EventLogEntry.objects.filter(event_uuid__in=event_uuids).values_list("event_uuid", "replay_id"))


def _entry(event: NewEvent, replay_id: int, topic: Topic, now: datetime) -> EventLogEntry:
    return EventLogEntry(
        replay_id=replay_id,
        topic=topic,
        event_uuid=event.event_uuid,
        schema_id=event.schema_id,
        payload=event.payload,
        created_at=event.created_at,
        published_at=now,
        correlation_id=event.correlation_id,
        transaction_key=event.transaction_key,
        sequence_number=event.sequence_number,
    )


def _event(entry: EventLogEntry) -> Event:
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
    )


def _move_ends(topics: Mapping[str, Topic], newest: Mapping[str, int]) -> None:
    """Store the newest replay id of each topic that got events, in one statement."""
    of_changes = [end for name, end in newest.items() if topic_kind(name) == TopicKind.DATA]
    ends = {**newest, **({UNION_TOPIC: max(of_changes)} if of_changes else {})}
    moved = []
    for name, end in sorted(ends.items()):
        topics[name].last_replay_id = end
        moved.append(topics[name])
    Topic.objects.bulk_update(moved, ["last_replay_id"])


def _topic(name: str) -> Topic:
    try:
        return Topic.objects.get(name=name)
    except Topic.DoesNotExist:
        raise UnknownTopic(f"There is no topic named {name!r}.") from None


def _of_topic(name: str) -> Q:
    return Q(topic__kind=TopicKind.DATA) if name == UNION_TOPIC else Q(topic__name=name)
