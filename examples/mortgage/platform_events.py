"""Events that others may subscribe to."""

from events.definitions import Number, PlatformEvent, RecordIdField, Text

__all__ = ["ApplicationDecided"]


class ApplicationDecided(PlatformEvent):
    """The bank has decided on a mortgage application."""

    api_name = "Application_Decided__e"
    label = "Application decided"

    application_number = Text("Application_Number__c", length=40, required=True)
    outcome = Text("Outcome__c", length=20, required=True)
    amount = Number("Amount__c")
    request_id = RecordIdField("Mortgage_Request__c", required=True)
