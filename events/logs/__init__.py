"""The event log, and which implementation of it is in use."""

from importlib.util import find_spec

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from events.logs.base import EventLog, NewEvent, Retention
from events.logs.database import DatabaseEventLog

__all__ = ["DatabaseEventLog", "EventLog", "NewEvent", "Retention", "get_event_log"]


def get_event_log() -> EventLog:
    """Return the log that `ISTHMUS_EVENT_LOG_URL` names: empty or `database:` is the one in the database.

    `nats://127.0.0.1:4222/ISTHMUS?replicas=3` is a stream in NATS JetStream. Raises `ImproperlyConfigured`.
    """
    url: str = settings.ISTHMUS_EVENT_LOG_URL
    if url in {"", "database:"}:
        return DatabaseEventLog()
    if url.startswith(("nats://", "tls://")):
        if find_spec("nats") is None:
            raise ImproperlyConfigured("The event log in NATS needs the extra `nats`: pip install isthmus[nats].")
        from events.logs.jetstream import log_at

        return log_at(url)
    raise ImproperlyConfigured(f"ISTHMUS_EVENT_LOG_URL is {url!r}; it takes nothing, `database:` or `nats://…`.")
