"""The usage of events as an sObject, under Salesforce's name."""

from events.models import EventUsage
from isthmus.objects.registry import expose

expose(
    EventUsage,
    api_name="PlatformEventUsageMetric",
    label="Platform event usage metric",
    label_plural="Platform event usage metrics",
    fields={
        "Name": "name",
        "EventName": "event_name",
        "StartDate": "start_date",
        "EndDate": "end_date",
        "Value": "value",
    },
    read_only=True,
    track_changes=False,
)
