"""Which records change events are about, beside the log: the way from a record to its changes."""

from collections.abc import Sequence

from events import topics
from events.changes import HEADER
from events.logs.base import NewEvent
from events.models import ChangedRecord, EventLogEntry
from events.names import change_topic
from isthmus.objects.object_types import ObjectType
from isthmus.objects.record_ids import decode

__all__ = ["latest_changes", "note"]


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


def latest_changes(object_type: ObjectType, record_pk: int, limit: int) -> list[EventLogEntry]:
    """Return the latest kept change events of one record, overflows of its object among them; the newest first."""
    numbers = (
        ChangedRecord.objects.filter(topic__name=change_topic(object_type.api_name), record_pk__in=[record_pk, 0])
        .order_by("-replay_id")
        .values_list("replay_id", flat=True)
    )
    wanted = list(numbers[:limit])
    return list(EventLogEntry.objects.filter(pk__in=wanted).select_related("topic").order_by("-replay_id"))
