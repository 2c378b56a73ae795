"""Which records change events are about, beside the log: the way from a record to its changes."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from events import topics
from events.changes import HEADER
from events.logs.base import NewEvent
from events.models import ChangedRecord, EventLogEntry
from events.names import change_topic
from isthmus.objects.object_types import ObjectType
from isthmus.objects.record_ids import decode

__all__ = ["changes_of", "latest_changes", "note"]


def note(events: Sequence[NewEvent], replay_ids: Sequence[int]) -> None:
    """Note the records of change events that entered the log under these replay ids, in the transaction of the move."""
    known = topics.ensure({event.topic for event in events})
    rows = [
        ChangedRecord(topic=known[event.topic], record_pk=decode(record_id)[1], replay_id=replay_id)
        for event, replay_id in zip(events, replay_ids, strict=True)
        for record_id in dict.fromkeys(event.payload[HEADER]["recordIds"])
    ]
    # What a crash moved halfway is moved again.
    ChangedRecord.objects.bulk_create(rows, ignore_conflicts=True)


def latest_changes(
    object_type: ObjectType, record_pk: int, limit: int, *, until: datetime | None = None
) -> list[EventLogEntry]:
    """Return the latest kept change events of one record, overflows of its object among them; the newest first.

    `until`: only what changed up to then.
    """
    found = changes_of(object_type, record_pk)
    if until is not None:
        found = found.filter(created_at__lte=until)
    return list(found.order_by("-replay_id")[:limit])


def changes_of(object_type: ObjectType, record_pk: int) -> QuerySet[EventLogEntry]:
    """Return the kept change events of one record, overflows of its object among them."""
    noted = ChangedRecord.objects.filter(topic__name=change_topic(object_type.api_name), record_pk__in=[record_pk, 0])
    return EventLogEntry.objects.filter(pk__in=noted.values("replay_id")).select_related("topic")
