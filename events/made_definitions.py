"""The platform events that administrators made, as this process knows them.

A process asks at most once a second whether they have changed; a name that it does not know it asks for at once. Of two
events with the same name the code's counts.
"""

import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from types import new_class
from typing import Any

from django.db.models import Count, Max

from events import fields, sobjects
from events.definitions import EventType, PlatformEvent, is_api_name
from events.errors import InvalidDefinition
from events.fields import EventField, ValueRefused
from events.models import EventDefinition, EventFieldDefinition, EventFieldKind
from isthmus import clock
from isthmus.logs import get_logger
from isthmus.objects import catalogue
from isthmus.objects.errors import InvalidExposure
from isthmus.objects.object_types import ObjectType

__all__ = ["all", "event_type_of", "find", "forget"]

log = get_logger(__name__)

_LOOK_SECONDS = 1.0

_OPTIONS = {
    EventFieldKind.TEXT: ("length",),
    EventFieldKind.LONG_TEXT: ("length",),
    EventFieldKind.NUMBER: ("precision", "scale"),
}


def find(api_name: str) -> EventType | None:
    """Return the event of that API name, in any case; `None` when no administrator made one."""
    if not is_api_name(api_name.lower()):
        return None
    return _known.events().get(api_name.lower()) or _known.events(now=True).get(api_name.lower())


def all() -> Iterable[EventType]:  # noqa: A001 - the word of the registry's sources
    """Return every event that an administrator made and that can be published."""
    return _known.events().values()


def forget() -> None:
    """Ask the database again."""
    _known.forget()


def event_type_of(definition: EventDefinition, given: Iterable[EventFieldDefinition]) -> EventType:
    """Return the event that a definition with these fields describes. Raises `InvalidDefinition`."""
    attributes: dict[str, Any] = {
        "__doc__": definition.description,
        "__module__": __name__,
        "api_name": definition.api_name,
        "label": definition.label,
        "publish_behavior": definition.publish_behavior,
        "partition_key": definition.partition_key,
    }
    for field in given:
        attribute = _attribute(field.api_name)
        if attribute in attributes:
            raise InvalidDefinition(f"{definition.api_name} declares fields twice: {field.api_name}.")
        attributes[attribute] = _field(field)
    name = definition.api_name.removesuffix("__e").replace("_", "")
    made: type[PlatformEvent] = new_class(
        name, (PlatformEvent,), {"is_declared": False}, lambda body: body.update(attributes)
    )
    return made.event_type


class _Known:
    """What this process knows."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state: tuple[int, datetime | None] | None = None
        self._events: dict[str, EventType] = {}
        self._objects: list[ObjectType] = []
        self._look_again_at = 0.0

    def events(self, *, now: bool = False) -> dict[str, EventType]:
        """Return the events by name in small letters; with `now` those of this very moment."""
        with self._lock:
            if now or clock.monotonic_seconds() >= self._look_again_at:
                rows = EventDefinition.objects.filter(declared_in="")
                found = rows.aggregate(number=Count("pk"), newest=Max("modified_at"))
                state = (found["number"], found["newest"])
                if state != self._state:
                    self._load(rows.filter(is_active=True).prefetch_related("fields").order_by("pk"))
                    self._state = state
                self._look_again_at = clock.monotonic_seconds() + _LOOK_SECONDS
            return self._events

    def forget(self) -> None:
        self._state = None
        self._look_again_at = 0.0

    def _load(self, definitions: Iterable[EventDefinition]) -> None:
        for object_type in self._objects:
            catalogue.unregister(object_type)
        self._events, self._objects = {}, []
        for definition in definitions:
            try:
                event_type = event_type_of(definition, definition.fields.all())
            except InvalidDefinition:
                # It was sound when it was stored; another version of the code may see it otherwise.
                log.exception("events.definition_unreadable", api_name=definition.api_name)
                continue
            self._events[event_type.api_name.lower()] = event_type
            object_type = sobjects.made_object_type(event_type, definition.pk)
            # The code has one of that name by now, which counts.
            with suppress(InvalidExposure):
                catalogue.register(object_type)
                self._objects.append(object_type)


_known = _Known()


_TAKEN = {*dir(PlatformEvent), *PlatformEvent.__annotations__}


def _attribute(api_name: str) -> str:
    """Return the name of the field in Python: `order_number`; `label_` where an event has a `label` itself."""
    name = re.sub(r"\W", "_", api_name.removesuffix("__c").lower())
    return f"{name}_" if name in _TAKEN else name


def _field(given: EventFieldDefinition) -> EventField[Any]:
    options = {
        name: value
        for name in _OPTIONS.get(EventFieldKind(given.kind), ())
        if (value := getattr(given, name)) is not None
    }
    made: EventField[Any] = getattr(fields, EventFieldKind(given.kind).value)(
        given.api_name, required=given.is_required, label=given.label, help_text=given.help_text, **options
    )
    if given.default_value:
        try:
            made.default = made.to_python(made.to_json(given.default_value))
        except ValueRefused as refused:
            raise InvalidDefinition(f"The default of {given.api_name} {refused.message}") from refused
    return made
