"""Platform events, declared in an app's `platform_events.py`.

class OrderReady(PlatformEvent):
    api_name = "Order_Ready__e"
    label = "Order ready"
    order_number = Text("Order_Number__c", length=80, required=True)
    weight = Number("Weight__c")

OrderReady(order_number="A1", weight=2.5).publish()
"""

import inspect
import re
import uuid
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Self

from events import bus, registry
from events.avro import AvroSchema, nullable, platform_event_schema
from events.avro_values import to_avro_value
from events.errors import EventRefused, InvalidDefinition, PayloadProblem
from events.fields import Checkbox, Date, DateTime, EventField, LongText, Number, RecordIdField, Text, ValueRefused
from isthmus import ids

__all__ = [
    "Checkbox",
    "Date",
    "DateTime",
    "EventType",
    "LongText",
    "Number",
    "PlatformEvent",
    "PublishBehavior",
    "RecordIdField",
    "Text",
    "is_api_name",
]

_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*__e")
_LONGEST_NAME = 43  # Salesforce: 40 characters and the suffix.
_DEDUPLICATION = uuid.UUID("6a0d4f6e-0f43-4c53-9f3c-7d9f0f1d5c11")
_SERVER_FIELDS = {"createddate", "createdbyid", "replayid", "eventuuid"}
"""What the platform stamps itself; given values are ignored, as Salesforce ignores them."""


def is_api_name(name: str) -> bool:
    """Return whether a platform event can have this API name."""
    return _API_NAME.fullmatch(name) is not None and len(name) <= _LONGEST_NAME


class PublishBehavior(StrEnum):
    """When an event leaves."""

    AFTER_COMMIT = "PublishAfterCommit"
    """With the transaction of its publisher, and not at all if that is rolled back."""
    IMMEDIATELY = "PublishImmediately"
    """At once, whatever becomes of the transaction: for logs and alarms."""


class EventType:
    """What is known of a platform event: names, fields in order, schema."""

    def __init__(self, declared: "type[PlatformEvent]") -> None:
        self.declared = declared
        self.api_name = declared.api_name
        self.label = declared.label or declared.api_name.removesuffix("__e").replace("_", " ")
        self.description = inspect.cleandoc(vars(declared).get("__doc__") or "")
        self.fields = _fields_of(declared)
        self.publish_behavior = PublishBehavior(declared.publish_behavior)
        self.retention_hours = declared.retention_hours
        self.retention_bytes = declared.retention_bytes
        self.partition_key = declared.partition_key
        _refuse_wrong_names(self)
        _refuse_wrong_settings(self)

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return f"/event/{self.api_name}"

    @property
    def declared_in(self) -> str:
        """Dotted path of the class."""
        return f"{self.declared.__module__}.{self.declared.__qualname__}"

    @cached_property
    def by_api_name(self) -> dict[str, EventField[Any]]:
        """The fields by lower-case API name: names are case-insensitive on input."""
        return {field.api_name.lower(): field for field in self.fields}

    @cached_property
    def schema(self) -> AvroSchema:
        """The Avro schema of the payload."""
        return platform_event_schema(self.api_name, [_avro_field(field) for field in self.fields])


class PlatformEvent:
    """Base of platform events. Declaring a subclass registers it."""

    api_name: ClassVar[str]
    """`Order_Ready__e`: letters, digits, single underscores, the suffix `__e`."""
    label: ClassVar[str] = ""
    publish_behavior: ClassVar[PublishBehavior] = PublishBehavior.AFTER_COMMIT
    retention_hours: ClassVar[int | None] = None
    """Hours for which events are kept; `None`: as the setting says."""
    retention_bytes: ClassVar[int | None] = None
    """Bytes of payload that are kept at most; `None`: no limit."""
    partition_key: ClassVar[str] = ""
    """API name of the field whose values keep their order among themselves when subscribers work in parallel."""
    event_type: ClassVar[EventType]

    event_uuid: uuid.UUID
    """The identity of this event: published twice, it still is one event."""

    def __init__(self, *, deduplication_key: str | None = None, **values: Any) -> None:
        """Make an event. Two of one kind with the same `deduplication_key` are one as long as the first is kept."""
        self.event_uuid = (
            ids.new_uuid()
            if deduplication_key is None
            else uuid.uuid5(_DEDUPLICATION, f"{self.event_type.api_name.lower()}:{deduplication_key}")
        )
        self._unknown: list[str] = []
        known = {field.name for field in self.event_type.fields}
        for name, value in values.items():
            if name in known:
                setattr(self, name, value)
            else:
                self._unknown.append(name)

    def __init_subclass__(cls, *, is_declared: bool = True, **kwargs: Any) -> None:
        """Describe the event, and register it if the code declares it."""
        super().__init_subclass__(**kwargs)
        if "api_name" not in vars(cls):
            raise InvalidDefinition(f"{cls.__qualname__} has no api_name, such as `Order_Ready__e`.")
        cls.event_type = EventType(cls)
        if is_declared:
            registry.register_event(cls.event_type)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.event_uuid}>"

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any], *, deduplication_key: str | None = None) -> Self:
        """Return an event from values by API name, as REST and subscribers have them. Problems show at publishing."""
        made = cls(deduplication_key=deduplication_key)
        for api_name, value in payload.items():
            field = cls.event_type.by_api_name.get(api_name.lower())
            if field is not None:
                setattr(made, field.name, value)
            elif api_name.lower() not in _SERVER_FIELDS:
                made._unknown.append(api_name)
        return made

    @classmethod
    def from_event(cls, payload: Mapping[str, Any]) -> Self:
        """Return an event with the Python values (dates as dates) of a payload that a subscriber received."""
        made = cls()
        for field in cls.event_type.fields:
            setattr(made, field.name, field.to_python(payload.get(field.api_name)))
        return made

    @property
    def event_name(self) -> str:
        """The API name."""
        return self.event_type.api_name

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return self.event_type.topic

    @property
    def schema(self) -> AvroSchema:
        """The Avro schema of the payload."""
        return self.event_type.schema

    @property
    def publishes_immediately(self) -> bool:
        """Whether it is kept even if the publisher's transaction is rolled back."""
        return self.event_type.publish_behavior is PublishBehavior.IMMEDIATELY

    def payload(self) -> tuple[dict[str, Any], list[PayloadProblem]]:
        """Return the fields as they are kept, and everything that is wrong with them."""
        kept: dict[str, Any] = {}
        problems = [
            PayloadProblem(
                code="INVALID_FIELD",
                message=f"No such column '{name}' on sobject of type {self.api_name}",
                fields=(name,),
            )
            for name in self._unknown
        ]
        for field in self.event_type.fields:
            try:
                kept[field.api_name] = field.to_json(getattr(self, field.name))
            except ValueRefused as refused:
                problems.append(
                    PayloadProblem(
                        code=refused.code, message=f"{field.api_name} {refused.message}", fields=(field.api_name,)
                    )
                )
                continue
            if field.required and kept[field.api_name] is None:
                problems.append(
                    PayloadProblem(
                        code="REQUIRED_FIELD_MISSING",
                        message=f"Required fields are missing: [{field.api_name}]",
                        fields=(field.api_name,),
                    )
                )
        return kept, problems

    def publish(self, *, user: Any = None) -> bus.PublishResult:
        """Publish as the definition says. Raises `EventRefused` with everything that is wrong with the payload."""
        (result,) = bus.publish([self], user=user)
        if not result.success:
            raise EventRefused(result.errors)
        return result


def _fields_of(declared: type[PlatformEvent]) -> tuple[EventField[Any], ...]:
    """Return the fields in the order of their definition, those of base classes first."""
    found: dict[str, EventField[Any]] = {}
    for owner in reversed(declared.__mro__):
        found.update({name: value for name, value in vars(owner).items() if isinstance(value, EventField)})
    return tuple(found.values())


def _refuse_wrong_names(event_type: EventType) -> None:
    if not is_api_name(event_type.api_name):
        raise InvalidDefinition(
            f"{event_type.api_name!r} is not a platform event's API name: letters, digits and single underscores, "
            f"the suffix `__e`, at most {_LONGEST_NAME} characters."
        )
    names = [field.api_name.lower() for field in event_type.fields]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidDefinition(f"{event_type.api_name} declares fields twice: {', '.join(doubled)}.")


def _refuse_wrong_settings(event_type: EventType) -> None:
    if event_type.partition_key and event_type.partition_key.lower() not in event_type.by_api_name:
        raise InvalidDefinition(f"{event_type.api_name}: the partition key {event_type.partition_key!r} is no field.")
    for name in ("retention_hours", "retention_bytes"):
        value = getattr(event_type, name)
        if value is not None and value < 1:
            raise InvalidDefinition(f"{event_type.api_name}: {name} is at least 1, not {value}.")


def _avro_field(field: EventField[Any]) -> dict[str, Any]:
    doc = f"Data:{field.doc_type}"
    if field.required:
        # With a default, events without the field can still be read as events of this version.
        given = (
            {} if field.default is None else {"default": to_avro_value(field.doc_type, field.to_json(field.default))}
        )
        return {"name": field.api_name, "type": field.avro_type, "doc": doc, **given}
    return nullable(field.api_name, field.avro_type, doc)
