"""Reads single records as the API gives them: for one user, with what that user sees."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models

from isthmus.access import policy
from isthmus.objects import catalogue, sharing
from isthmus.objects.errors import MalformedId, UnknownObject
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import can_read_field, readable_fields
from isthmus.objects.reading import live_rows
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, decode, encode
from isthmus.objects.wire_values import BadValue, from_wire
from records.errors import FieldUnknown, NoSuchResource
from records.wire_columns import rest_value

__all__ = [
    "Stored",
    "as_json",
    "external_id_field",
    "fields_asked",
    "find",
    "find_by_external_id",
    "is_seen",
    "key_field",
    "object_of",
    "object_to_write",
    "objects_seen",
]


class Stored:
    """A record as it is stored now."""

    def __init__(self, object_type: ObjectType, row: dict[str, Any]) -> None:
        self.object_type = object_type
        self.row = row
        self.record_id = encode(object_type.key_prefix, row["pk"])

    @property
    def changed_at(self) -> datetime | None:
        """When it was last changed, in whole seconds as HTTP has it; `None` where the object does not say."""
        moment: datetime | None = self.row.get("system_modstamp")
        return None if moment is None else moment.astimezone(UTC).replace(microsecond=0)

    @property
    def etag(self) -> str:
        """A text that is another one whenever the record holds something else."""
        told = self.row.get("system_modstamp") or sorted(self.row.items(), key=str)
        return hashlib.sha256(f"{self.record_id} {told}".encode()).hexdigest()[:32]


def object_of(api_name: str, user: AbstractUser) -> ObjectType:
    """Return the object of that name, whatever its case. Raises `NoSuchResource` for one that the user may not see."""
    found = object_to_write(api_name)
    if not is_seen(found, user):
        raise NoSuchResource
    return found


def objects_seen(user: AbstractUser) -> list[ObjectType]:
    """Return the objects that the user may see, by name."""
    return [one for one in catalogue.all_objects() if is_seen(one, user)]


def object_to_write(api_name: str) -> ObjectType:
    """Return the object of that name; whether somebody may write it, the write door says. Raises `NoSuchResource`."""
    try:
        return catalogue.get_object(api_name)
    except UnknownObject as error:
        raise NoSuchResource from error


def find(object_type: ObjectType, record_id: str, user: AbstractUser) -> Stored:
    """Return the live record of that id that the user sees. Raises `NoSuchResource`."""
    try:
        prefix, pk = decode(record_id)
    except MalformedId as error:
        raise NoSuchResource from error
    if prefix != object_type.key_prefix or pk > MAX_PRIMARY_KEY:
        raise NoSuchResource
    found = _rows(object_type, user, models.Q(pk=pk))
    if not found:
        raise NoSuchResource
    return found[0]


def external_id_field(object_type: ObjectType, name: str, user: AbstractUser) -> FieldType:
    """Return the external id field of that name, if the user sees it. Raises `NoSuchResource`."""
    field = key_field(object_type, name)
    if not can_read_field(user, object_type, field):
        raise _no_such_key(name)
    return field


def key_field(object_type: ObjectType, name: str) -> FieldType:
    """Return the external id field of that name. Raises `NoSuchResource`."""
    field = object_type.find_field(name)
    if field is None or not field.external_id:
        raise _no_such_key(name)
    return field


def find_by_external_id(object_type: ObjectType, field: FieldType, value: str, user: AbstractUser) -> list[Stored]:
    """Return the live records that have this external id and that the user sees, by id."""
    try:
        wanted = from_wire(field, value)
    except BadValue:
        return []
    exact = "exact" if field.case_sensitive or not field.type.is_text else "iexact"
    return [] if wanted is None else _rows(object_type, user, models.Q(**{f"{field.attname}__{exact}": wanted}))


def fields_asked(object_type: ObjectType, names: str | None, user: AbstractUser) -> list[FieldType]:
    """Return the fields that a request names, in its order; all that the user sees if it names none.

    Raises `FieldUnknown`.
    """
    if names is None:
        return readable_fields(user, object_type)
    found = []
    for name in [text.strip() for text in names.split(",") if text.strip()]:
        field = object_type.find_field(name)
        if field is None or not can_read_field(user, object_type, field):
            raise FieldUnknown(f"No such column '{name}' on entity '{object_type}'.", fields=[name])
        found.append(field)
    return found


def as_json(stored: Stored, fields: Sequence[FieldType], version: str) -> dict[str, Any]:
    """Return the record as the API gives it: `attributes` first, then the fields in their order."""
    path = f"/services/data/v{version}/sobjects/{stored.object_type}/{stored.record_id}"
    values = {field.api_name: rest_value(field, stored.row.get(_column(field))) for field in fields}
    return {"attributes": {"type": stored.object_type.api_name, "url": path}, **values}


def is_seen(object_type: ObjectType, user: AbstractUser) -> bool:
    """Return whether the user may know of the object."""
    # Objects without a model (events, say) are granted by a kind of their own.
    return object_type.model is None or policy.is_granted(user, "object", "read", object_type.api_name)


def _no_such_key(name: str) -> NoSuchResource:
    return NoSuchResource(f"Provided external ID field does not exist or is not accessible: {name}")


def _rows(object_type: ObjectType, user: AbstractUser, condition: models.Q) -> list[Stored]:
    if object_type.model is None:
        return []
    columns = {_column(field) for field in object_type.fields}
    rows = sharing.visible(user, object_type, live_rows(object_type.model).filter(condition))
    return [Stored(object_type, row) for row in rows.order_by("pk").values("pk", *sorted(columns - {"pk"}))]


def _column(field: FieldType) -> str:
    return "pk" if field.type is FieldKind.ID else field.attname
