"""What this app hears."""

from events.subscribers import Event, subscriber
from examples.mortgage.models import ContactSighting, DecisionNote

__all__ = ["note_decisions", "sight_contacts"]


@subscriber("Application_Decided__e", name="mortgage.note_decisions", start="earliest")
def note_decisions(events: list[Event]) -> None:
    """Write down every decision that was announced."""
    DecisionNote.objects.bulk_create(
        DecisionNote(
            event_uuid=event.event_uuid,
            replay_id=event.replay_id,
            application_number=event.payload["Application_Number__c"],
            outcome=event.payload["Outcome__c"],
            amount=event.payload.get("Amount__c"),
            correlation_id=event.correlation_id,
        )
        for event in events
    )


@subscriber("ContactChangeEvent", name="mortgage.sight_contacts", start="earliest")
def sight_contacts(events: list[Event]) -> None:
    """Write down every contact whose change came by."""
    ContactSighting.objects.bulk_create(
        ContactSighting(
            event_uuid=event.event_uuid,
            replay_id=event.replay_id,
            record_id=event.payload["ChangeEventHeader"]["recordIds"][0],
            change_type=event.payload["ChangeEventHeader"]["changeType"],
        )
        for event in events
    )
