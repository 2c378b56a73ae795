"""The event log, and which implementation of it is in use."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from events.logs.base import EventLog, NewEvent, Retention
from events.logs.database import DatabaseEventLog

__all__ = ["DatabaseEventLog", "EventLog", "NewEvent", "Retention", "get_event_log"]


def get_event_log() -> EventLog:
    """Return the log that `ISTHMUS_EVENT_LOG_URL` names: empty or `database:` is the one in the database."""
    url: str = settings.ISTHMUS_EVENT_LOG_URL
    if url in {"", "database:"}:
        return DatabaseEventLog()
    raise ImproperlyConfigured(f"ISTHMUS_EVENT_LOG_URL is {url!r}; it takes nothing or `database:`.")
