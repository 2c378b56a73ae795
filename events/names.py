"""How topics are named."""

import re

from events.errors import UnknownTopic

__all__ = ["UNION_TOPIC", "change_event_name", "change_topic", "topic_kind", "topic_name"]

UNION_TOPIC = "/data/ChangeEvents"

_TOPIC = re.compile(
    r"/event/[A-Za-z][A-Za-z0-9_]*__e|/data/([A-Za-z][A-Za-z0-9_]*ChangeEvent|ChangeEvents)"
    r"|/(event|data)/[A-Za-z][A-Za-z0-9_]*__chn"
)


def change_event_name(object_name: str) -> str:
    """Return what an object's change events are called: `ContactChangeEvent`, `Employee__ChangeEvent`.

    >>> change_event_name("Employee__c")
    'Employee__ChangeEvent'
    """
    return f"{object_name.removesuffix('c') if object_name.endswith('__c') else object_name}ChangeEvent"


def change_topic(object_name: str) -> str:
    """Return the topic of an object's change events.

    >>> change_topic("Contact")
    '/data/ContactChangeEvent'
    """
    return f"/data/{change_event_name(object_name)}"


def topic_name(name: str) -> str:
    """Return the full name of a topic given in full or by its last part. Raises `UnknownTopic` for other texts.

    >>> topic_name("Order_Ready__e"), topic_name("ContactChangeEvent"), topic_name("ChangeEvents")
    ('/event/Order_Ready__e', '/data/ContactChangeEvent', '/data/ChangeEvents')
    """
    full = name if name.startswith("/") else f"/event/{name}" if name.endswith("__e") else f"/data/{name}"
    if not _TOPIC.fullmatch(full):
        raise UnknownTopic(
            f"{name!r} names no topic; topics look like /event/Order_Ready__e, /data/ContactChangeEvent or "
            "/data/Partner__chn."
        )
    return full


def topic_kind(name: str) -> str:
    """Return the kind of a topic, one of `TopicKind`."""
    if name == UNION_TOPIC:
        return "union"
    if name.endswith("__chn"):
        return "channel"
    return "event" if name.startswith("/event/") else "data"
