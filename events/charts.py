"""What was published in the last hours, from the hourly counts."""

from events.models import EventUsage
from isthmus.console.charts import Chart, Kind, first_hour, hourly_chart

__all__ = ["published"]

_KINDS = (
    Kind(name=EventUsage.Measure.PLATFORM_EVENTS_PUBLISHED, label="platform events", tone="busy"),
    Kind(name=EventUsage.Measure.CHANGE_EVENTS_PUBLISHED, label="change events", tone="good"),
)


def published(event_name: str = "") -> Chart:
    """Return how many events entered the log in each of the last 24 hours (UTC); with a name those of that event."""
    rows = EventUsage.objects.filter(start_date__gte=first_hour(), name__in=[kind.name for kind in _KINDS])
    if event_name:
        rows = rows.filter(event_name=event_name)
    return hourly_chart("Events", _KINDS, rows.values_list("start_date", "name", "value"))
