"""Note what was handled."""

from events.changes import HEADER
from events.crash_matrix.models import Effect
from events.subscribers import Event, subscriber
from isthmus.objects.record_ids import decode

__all__ = ["note_changes", "note_steps"]


@subscriber("History_Step__e", name="steps", start="earliest", batch_size=20, one_correlation=False)
def note_steps(events: list[Event]) -> None:
    Effect.objects.bulk_create(
        Effect(
            subscriber="steps",
            item=event.payload["Item__c"],
            sequence=event.payload["Sequence__c"],
            event_uuid=event.event_uuid,
        )
        for event in events
    )


@subscriber(
    "/data/History_Item__ChangeEvent",
    name="changes",
    start="earliest",
    batch_size=20,
    one_correlation=False,
    filter=f"{HEADER}.changeType = 'UPDATE'",
)
def note_changes(events: list[Event]) -> None:
    Effect.objects.bulk_create(
        Effect(
            subscriber="changes",
            item=decode(record_id)[1],
            sequence=event.payload["Sequence__c"],
            event_uuid=event.event_uuid,
        )
        for event in events
        for record_id in event.payload[HEADER]["recordIds"]
    )
