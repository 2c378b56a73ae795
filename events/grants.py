"""What permission sets can grant about events."""

from collections.abc import Iterable

from events import registry
from events.models import Channel
from events.names import UNION_TOPIC, change_event_name
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.access.registry import GrantKind
from isthmus.objects.capture.tracking import tracked_names
from isthmus.objects.registry import all_objects

__all__ = ["EVENT_GRANTS", "sees_event"]


def _targets() -> Iterable[str]:
    """Return what can be granted: platform events by API name, all others by the last part of their topic."""
    yield from (event.api_name for event in registry.all_events())
    yield from (change_event_name(name) for name in sorted(tracked_names(all_objects())))
    yield UNION_TOPIC.rsplit("/", 1)[1]
    yield from Channel.objects.values_list("name", flat=True)


def sees_event(user: AnyUser, event_name: str) -> bool:
    """Return whether the user may learn of the event: who may publish it or subscribe to it."""
    return any(policy.is_granted(user, "event", action, event_name) for action in EVENT_GRANTS.actions)


EVENT_GRANTS = GrantKind(name="event", label="Events", actions=("publish", "subscribe"), targets=_targets)
