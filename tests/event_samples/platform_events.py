"""Events of the samples."""

from events.definitions import Number, PlatformEvent, Text


class Counted(PlatformEvent):
    """Carries a number."""

    api_name = "Counted__e"
    number = Number("Number__c", required=True)
    note = Text("Note__c", length=20)
