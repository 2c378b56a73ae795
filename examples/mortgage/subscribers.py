"""What this app hears."""

from events.subscribers import Event, subscriber
from examples.mortgage.models import ContactSighting, DecisionNote
from examples.mortgage.partners import tell

__all__ = ["note_decisions", "sight_contacts", "tell_crm", "tell_warehouse"]


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
            record_id=record_id,
            change_type=event.payload["ChangeEventHeader"]["changeType"],
        )
        for event in events
        # Contacts that changed alike share an event.
        for record_id in event.payload["ChangeEventHeader"]["recordIds"]
    )


@subscriber("OrderChangeEvent", name="mortgage.tell_warehouse", start="earliest")
def tell_warehouse(events: list[Event]) -> None:
    """Let the warehouse know of every change of an order."""
    for event in events:
        tell("Tell the warehouse", "callout:Warehouse/orders/{id}", event)


@subscriber("LeadChangeEvent", name="mortgage.tell_crm", start="earliest")
def tell_crm(events: list[Event]) -> None:
    """Let the CRM know of every change of a lead."""
    for event in events:
        tell("Tell the CRM", "callout:Partner_CRM/people/{id}", event)
