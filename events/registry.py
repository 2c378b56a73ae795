"""The platform events and subscribers that there are: those of the code, and events of other sources."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from events.errors import InvalidDefinition, InvalidSubscriber, UnknownEvent

if TYPE_CHECKING:
    from events.definitions import EventType
    from events.subscribers import Subscriber

__all__ = [
    "EventSource",
    "add_source",
    "all_events",
    "all_subscribers",
    "declared_events",
    "find_event",
    "get_event",
    "get_subscriber",
    "register_event",
    "register_subscriber",
    "register_temporarily",
]

T = TypeVar("T")

_events: "dict[str, EventType]" = {}
_subscribers: "dict[str, Subscriber]" = {}
_sources: "list[EventSource]" = []


def register_event(event_type: "EventType") -> None:
    """Add a platform event. Raises `InvalidDefinition` when another class has its API name."""
    known = _events.get(event_type.api_name.lower())
    if known is not None and known.declared_in != event_type.declared_in:
        raise InvalidDefinition(
            f"{event_type.declared_in} and {known.declared_in} are both called {event_type.api_name}."
        )
    _events[event_type.api_name.lower()] = event_type


def get_event(api_name: str) -> "EventType":
    """Return a platform event by its API name, in any case. Raises `UnknownEvent`."""
    found = find_event(api_name)
    if found is None:
        raise UnknownEvent(f"There is no platform event named {api_name!r}.")
    return found


def find_event(api_name: str) -> "EventType | None":
    """Return a platform event by its API name, in any case; `None` when there is none."""
    declared = _events.get(api_name.lower())
    if declared is not None:
        return declared
    return next((found for source in _sources if (found := source.find(api_name)) is not None), None)


def all_events() -> "list[EventType]":
    """Return every platform event, by name."""
    others = (found for source in _sources for found in source.all() if found.api_name.lower() not in _events)
    return sorted([*_events.values(), *others], key=lambda event_type: event_type.api_name)


def declared_events() -> "list[EventType]":
    """Return the platform events that the code declares, by name."""
    return sorted(_events.values(), key=lambda event_type: event_type.api_name)


class EventSource(Protocol):
    """Knows platform events that the code does not declare. Of two with the same name the code's counts."""

    def find(self, api_name: str) -> "EventType | None":
        """Return the event of that API name, in any case; `None` when there is none."""

    def all(self) -> "Iterable[EventType]":
        """Return every event of the source."""


def add_source(source: EventSource) -> None:
    """Ask this source, too."""
    _sources.append(source)


def register_subscriber(subscriber: "Subscriber") -> None:
    """Add a subscriber. Raises `InvalidSubscriber` when another function has its name."""
    known = _subscribers.get(subscriber.name)
    if known is not None and known.declared_in != subscriber.declared_in:
        raise InvalidSubscriber(
            f"{subscriber.declared_in} and {known.declared_in} are both named {subscriber.name!r}. Give one a name=."
        )
    _subscribers[subscriber.name] = subscriber


def get_subscriber(name: str) -> "Subscriber | None":
    """Return a subscriber by its name; `None` when the code declares none of that name."""
    return _subscribers.get(name)


def all_subscribers() -> "list[Subscriber]":
    """Return every subscriber, by name."""
    return sorted(_subscribers.values(), key=lambda subscriber: subscriber.name)


@contextmanager
def register_temporarily() -> Iterator[None]:
    """Forget at the end of the block what was declared in it (for tests)."""
    events_before, subscribers_before = dict(_events), dict(_subscribers)
    try:
        yield
    finally:
        _restore(_events, events_before)
        _restore(_subscribers, subscribers_before)


def _restore(registered: dict[str, T], before: dict[str, T]) -> None:
    registered.clear()
    registered.update(before)
