"""What the writers publish."""

from events.definitions import Number, PlatformEvent, PublishBehavior

__all__ = ["HistoryAlarm", "HistoryStep"]


class HistoryStep(PlatformEvent):
    """An item was changed."""

    api_name = "History_Step__e"
    item = Number("Item__c", required=True)
    sequence = Number("Sequence__c", required=True)


class HistoryAlarm(PlatformEvent):
    """Something is told whatever becomes of the transaction."""

    api_name = "History_Alarm__e"
    publish_behavior = PublishBehavior.IMMEDIATELY
    number = Number("Number__c", required=True)
