"""Proves that the log is complete, again and again, and says so: the *complete up to* watermark of each topic.

Two things are compared. What the log holds of a topic with the count of what ever entered it: what is missing there
becomes a gap event, so that readers know. And what waits for the relay with a moment: when everything that waited at
that moment has been moved, every event that was committed by then is in the log.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet

from events.changes import HEADER, change_header, object_of_topic, schema_of_topic
from events.gaps import gap_payload
from events.logs.base import EventLog, NewEvent
from events.models import OutboxEvent, Topic, TopicKind
from events.outbox import side_door
from isthmus import clock, ids
from isthmus.logs import get_logger
from isthmus.objects.capture import WHOLE_OBJECT_ID
from isthmus.objects.capture.shaping import readable
from isthmus.objects.models import RawChange

__all__ = ["Checker", "Watermark", "watermark"]

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """How far a topic is known to be complete."""

    replay_id: int
    """Up to this event the log holds every event of the topic that ever entered it and is kept."""
    until: datetime | None
    """Every event of the topic that was committed by then can be read; `None` before the first proof."""


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """What waited for the relay at a moment."""

    at: datetime
    last_event: int
    last_change: int


class Checker:
    """Compares, again and again. One at a time is enough: whoever holds the relay's lease."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log
        self._waiting: _Waiting | None = None

    def check(self) -> int:
        """Compare once, move the watermarks, and report what is missing as gap events; return how many are missing."""
        # Before the log is looked at: what has been moved by then, is there.
        proven = self._moved_until()
        topics = list(Topic.objects.filter(kind__in=TopicKind.of_their_own()))
        missing = {topic: self._log.check(topic.name) for topic in topics}
        gaps = [_gap(topic, number) for topic, number in missing.items() if number]
        if gaps:
            self._log.append(gaps)
            log.error("events.missing", topics=[gap.topic for gap in gaps], count=sum(missing.values()))
        if proven is not None:
            Topic.objects.filter(pk__in=[topic.pk for topic in topics]).update(complete_until=proven)
        return sum(missing.values())

    def _moved_until(self) -> datetime | None:
        """Return a moment up to which everything that was committed has been moved; `None` when none is known yet."""
        proven = None
        if self._waiting is not None and not _still_waits(self._waiting):
            proven, self._waiting = self._waiting.at, None
        if self._waiting is None:
            at = clock.now()
            # What waits in the file beside the database comes into the outbox first.
            side_door().empty()
            self._waiting = _Waiting(at=at, last_event=_last(OutboxEvent.objects.all()), last_change=_last(_changes()))
            if not self._waiting.last_event and not self._waiting.last_change:
                proven, self._waiting = at, None
        return proven


def watermark(event_log: EventLog, topic: str) -> Watermark:
    """Return how far the topic is complete; for one that carries others, how far all of these are.

    Raises `UnknownTopic`.
    """
    rows = Topic.objects.filter(name__in=event_log.carried_by(topic))
    found = list(rows.values_list("complete_replay_id", "complete_until", "last_replay_id"))
    # A topic without events after its watermark holds nobody back.
    behind = [complete for complete, _, last in found if complete < last]
    moments = [until for _, until, _ in found]
    return Watermark(
        replay_id=min(behind, default=max((complete for complete, *_ in found), default=0)),
        until=None if None in moments or not moments else min(moment for moment in moments if moment is not None),
    )


def _changes() -> QuerySet[RawChange]:
    # What this process cannot read waits for one that can, and nobody here reads its topic.
    return RawChange.objects.filter(readable())


def _last(rows: QuerySet[Any]) -> int:
    return rows.aggregate(last=Max("pk"))["last"] or 0


def _still_waits(waiting: _Waiting) -> bool:
    return (
        OutboxEvent.objects.filter(pk__lte=waiting.last_event).exists()
        or _changes().filter(pk__lte=waiting.last_change).exists()
    )


def _gap(topic: Topic, number: int) -> NewEvent:
    schema = schema_of_topic(topic.name)
    now = clock.now()
    key = ids.new_uuid()
    missing = gap_payload(topic.complete_replay_id, topic.last_replay_id, number)
    return NewEvent(
        topic=topic.name,
        event_uuid=key,
        schema_id=schema.schema_id if schema is not None else "",
        payload=_overflow(topic, key, now) if topic.kind == TopicKind.DATA else missing,
        created_at=now,
        correlation_id="",
        transaction_key=key,
        sequence_number=1,
        is_gap=topic.kind != TopicKind.DATA,
    )


def _overflow(topic: Topic, key: uuid.UUID, now: datetime) -> dict[str, Any]:
    """Return what readers of change events know: any record of the object may have changed."""
    changed = object_of_topic(topic.name)
    name = changed.api_name if changed is not None else ""
    return {HEADER: change_header(name, [WHOLE_OBJECT_ID], "GAP_OVERFLOW", transaction_key=key, at=now)}
