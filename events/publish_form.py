"""The form from which a person publishes an event: made from the event's definition, checked by the bus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from events import bus
from events.definitions import EventType
from events.errors import PayloadProblem
from events.fields import Checkbox, Date, DateTime, EventField, LongText, Number, RecordIdField, Text
from isthmus.access.policy import AnyUser

__all__ = ["FormField", "PublishForm"]

# What kind of input each type of field gets, and what it tells beside the label.
_INPUTS: tuple[tuple[type[EventField[Any]], str, str], ...] = (
    (LongText, "long", "text"),
    (Text, "text", "text"),
    (Number, "number", "number"),
    (Checkbox, "checkbox", ""),
    (Date, "date", ""),
    (DateTime, "text", "time, such as 2026-01-31T12:00:00Z"),
    (RecordIdField, "text", "record id"),
)


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One field with what was entered and what is wrong with it."""

    api_name: str
    label: str
    kind: str
    hint: str
    help_text: str
    is_required: bool
    longest: int
    value: str
    problem: str


class PublishForm:
    """What was entered, and what became of it."""

    def __init__(self, event_type: EventType, entered: Mapping[str, str] | None = None) -> None:
        self._event_type = event_type
        self._entered = entered
        self.problems: tuple[PayloadProblem, ...] = ()
        """What is wrong; empty until it was tried."""

    @property
    def fields(self) -> list[FormField]:
        """The fields in the order of the definition."""
        return [self._field(field) for field in self._event_type.fields]

    @property
    def other_problems(self) -> list[str]:
        """What is wrong with the event as a whole."""
        known = {field.api_name for field in self._event_type.fields}
        return [problem.message for problem in self.problems if not known & set(problem.fields)]

    def publish(self, user: AnyUser) -> str:
        """Publish what was entered as this user; return the event's UUID, "" when there are problems.

        Raises `PermissionRefused`.
        """
        payload = {field.api_name: self._value(field) for field in self._event_type.fields}
        [result] = bus.publish([self._event_type.declared.from_payload(payload)], user=user)
        self.problems = result.errors
        return str(result.event_uuid) if result.success else ""

    def _value(self, field: EventField[Any]) -> object:
        given = (self._entered or {}).get(field.api_name, "")
        # A box that is not ticked is not sent at all.
        return bool(given) if isinstance(field, Checkbox) else given

    def _field(self, field: EventField[Any]) -> FormField:
        kind, hint = next((kind, hint) for known, kind, hint in _INPUTS if isinstance(field, known))
        default = "" if self._entered is not None else field.to_json(field.default)
        value = self._entered.get(field.api_name, "") if self._entered is not None else default
        return FormField(
            api_name=field.api_name,
            label=field.label,
            kind=kind,
            hint=hint,
            help_text=field.help_text,
            is_required=field.required,
            longest=field.length,
            value="" if value in (None, False) else str(value),
            problem=" ".join(problem.message for problem in self.problems if field.api_name in problem.fields),
        )
