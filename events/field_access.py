"""What a user may see of events: the topics that they may subscribe to, and the fields of change events."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from events.changes import HEADER, object_of_topic
from events.subscribers import Event
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.objects.permissions import can_read_field

__all__ = ["require_subscribe", "visible_to"]


def require_subscribe(user: AnyUser, topic: str) -> None:
    """Return if the user may subscribe to the topic. Raises `PermissionRefused`."""
    policy.require(user, "event", "subscribe", topic.rpartition("/")[2])


def visible_to(user: AnyUser, events: Sequence[Event]) -> list[Event]:
    """Return the events without the fields of records that the user may not read. Their names go as well."""
    hidden = {topic: _hidden_from(user, topic) for topic in {event.topic for event in events}}
    return [_visible(event, hidden[event.topic]) for event in events]


def _hidden_from(user: AnyUser, topic: str) -> set[str]:
    object_type = object_of_topic(topic)
    if object_type is None:
        return set()
    return {field.api_name for field in object_type.fields if not can_read_field(user, object_type, field)}


def _visible(event: Event, hidden: set[str]) -> Event:
    if not hidden or HEADER not in event.payload:
        return event
    if not hidden & {*event.payload, *event.payload[HEADER]["changedFields"]}:
        return event
    return replace(event, payload=_without(event.payload, hidden))


def _without(payload: dict[str, Any], hidden: set[str]) -> dict[str, Any]:
    kept = {name: value for name, value in payload.items() if name not in hidden}
    header = dict(payload[HEADER])
    for listed in ("changedFields", "nulledFields", "diffFields"):
        header[listed] = [name for name in header[listed] if name not in hidden]
    return {**kept, HEADER: header}
