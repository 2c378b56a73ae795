"""Platform events as sObjects: creating a row publishes an event."""

from collections.abc import Mapping, Sequence
from typing import Any

from events import bus
from events.definitions import EventType
from events.fields import EventField, Number
from events.grants import sees_event
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.objects import record_ids
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.results import Operation, SaveError, SaveResult

__all__ = ["declared_object_types", "made_object_type"]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class EventWriter:
    """The write door's way to the bus."""

    def __init__(self, event_type: EventType, key_prefix: str) -> None:
        self._event_type = event_type
        # What clients get as the id of a published event tells nothing: it is not unique and not delivered.
        self._record_id = record_ids.encode(key_prefix, 1)

    def write(
        self,
        user: AnyUser,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
        *,
        external_id_field: str | None,
        all_or_none: bool,
    ) -> list[SaveResult]:
        """Publish one event a row. The door refuses every operation but CREATE before it comes here.

        Raises `PermissionRefused` unless the user was granted publishing (to the bus, no user means no question).
        """
        policy.require(user, "event", "publish", self._event_type.api_name)
        events = [self._event_type.declared.from_payload(row) for row in rows]
        return [self._result(found) for found in bus.publish(events, user=user, all_or_none=all_or_none)]

    def _result(self, found: bus.PublishResult) -> SaveResult:
        if not found.success:
            return SaveResult.failed(
                [SaveError(problem.code, problem.message, problem.fields) for problem in found.errors]
            )
        # Salesforce's way to tell the event's identity: an "error" of a row that succeeded.
        accepted = SaveError("OPERATION_ENQUEUED", str(found.event_uuid))
        return SaveResult(id=self._record_id, created=True, success=True, errors=(accepted,))


def declared_object_types(event_types: Sequence[EventType]) -> list[ObjectType]:
    """Return the sObjects of the code's events. Key prefixes go by the place in the list: nothing stores them."""
    return [_object_type(event_type, _key_prefix(place)) for place, event_type in enumerate(event_types)]


def made_object_type(event_type: EventType, number: int) -> ObjectType:
    """Return the sObject of an event that an administrator made, the how manieth it is, from 1."""
    # From the other end, so that they do not meet the code's.
    return _object_type(event_type, _key_prefix(len(_DIGITS) ** 2 - number))


def _key_prefix(place: int) -> str:
    high, low = divmod(place, len(_DIGITS))
    return f"e{_DIGITS[high]}{_DIGITS[low]}"


def _object_type(event_type: EventType, key_prefix: str) -> ObjectType:
    fields = (*_SERVER_FIELDS, *(_field_type(field) for field in event_type.fields))
    return ObjectType(
        api_name=event_type.api_name,
        label=event_type.label,
        label_plural=event_type.label,
        key_prefix=key_prefix,
        fields_source=lambda: fields,
        writer=EventWriter(event_type, key_prefix),
        updateable=False,
        deletable=False,
        undeletable=False,
        queryable=False,
        access=lambda user, action: _may(user, action, event_type.api_name),
    )


def _may(user: AnyUser, action: str, event_name: str) -> bool:
    """Return whether the user sees the event (`read`) or may publish it (`create`); nothing else is done to one."""
    if action == "read":
        return sees_event(user, event_name)
    return action == "create" and policy.is_granted(user, "event", "publish", event_name)


_SERVER_FIELDS = (
    FieldType(
        api_name="ReplayId", label="Replay ID", type=FieldKind.STRING, createable=False, updateable=False, system=True
    ),
    FieldType(
        api_name="CreatedDate",
        label="Created Date",
        type=FieldKind.DATETIME,
        createable=False,
        updateable=False,
        nillable=False,
        system=True,
    ),
    FieldType(
        api_name="CreatedById",
        label="Created By ID",
        type=FieldKind.REFERENCE,
        createable=False,
        updateable=False,
        nillable=False,
        reference_to=("User",),
        system=True,
    ),
    FieldType(
        api_name="EventUuid",
        label="Event UUID",
        type=FieldKind.STRING,
        createable=False,
        updateable=False,
        length=36,
        system=True,
    ),
)


def _field_type(field: EventField[Any]) -> FieldType:
    return FieldType(
        api_name=field.api_name,
        label=field.label,
        type=FieldKind(field.sobject_type),
        updateable=False,
        nillable=not field.required,
        has_default=field.default is not None,
        default_value=field.default,
        length=field.length,
        help_text=field.help_text,
        precision=field.precision if isinstance(field, Number) else 0,
        scale=field.scale if isinstance(field, Number) else 0,
    )
