"""The set-up screens."""

from events.admin.channels import ChannelAdmin
from events.admin.definitions import EventDefinitionAdmin
from events.admin.operating import (
    EventLogEntryAdmin,
    EventSchemaAdmin,
    EventUsageAdmin,
    ParkedEventAdmin,
    SubscriptionAdmin,
)

__all__ = [
    "ChannelAdmin",
    "EventDefinitionAdmin",
    "EventLogEntryAdmin",
    "EventSchemaAdmin",
    "EventUsageAdmin",
    "ParkedEventAdmin",
    "SubscriptionAdmin",
]
