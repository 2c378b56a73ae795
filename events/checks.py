"""System checks."""

from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from events.logs import get_event_log

__all__ = ["check_event_log"]


def check_event_log(**_: object) -> list[checks.CheckMessage]:
    """Report an event log that does not exist."""
    try:
        get_event_log()
    except ImproperlyConfigured as error:
        return [
            checks.Error(
                str(error),
                hint="Unset ISTHMUS_EVENT_LOG_URL, or give it the form that the message tells.",
                id="events.E001",
            )
        ]
    return []
