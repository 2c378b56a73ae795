"""Reads single records as the API gives them: for one user, with what that user sees."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.fields.files import FieldFile
from django.utils.crypto import salted_hmac

from isthmus.objects import catalogue, sharing
from isthmus.objects.errors import MalformedId, UnknownObject
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import can_read_field, may, readable_fields
from isthmus.objects.reading import live_rows
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, decode, encode
from isthmus.objects.wire_values import BadValue, from_wire
from records.errors import FieldUnknown, NoSuchResource
from records.wire_columns import rest_value

__all__ = [
    "Stored",
    "as_json",
    "blob_of",
    "external_id_field",
    "fields_asked",
    "find",
    "find_all",
    "find_by_external_id",
    "find_by_key",
    "find_each",
    "held",
    "is_filled",
    "object_of",
    "objects_seen",
]


class Stored:
    """A record as it is stored now."""

    def __init__(self, object_type: ObjectType, row: dict[str, Any]) -> None:
        self.object_type = object_type
        self.row = row
        self.record_id = encode(object_type.key_prefix, row["pk"])

    @property
    def pk(self) -> int:
        """The primary key."""
        return int(self.row["pk"])

    @property
    def changed_at(self) -> datetime | None:
        """When it was last changed, in whole seconds as HTTP has it; `None` where the object does not say."""
        moment: datetime | None = self.row.get("system_modstamp")
        return None if moment is None else moment.astimezone(UTC).replace(microsecond=0)

    @property
    def etag(self) -> str:
        """A text that is another one whenever the record holds something else."""
        told = self.row.get("system_modstamp") or sorted(self.row.items(), key=str)
        # With a secret in it: nobody finds out by trial what a field holds that they may not read.
        return salted_hmac("records.etag", f"{self.record_id} {told}", algorithm="sha256").hexdigest()[:32]


def object_of(api_name: str, user: AbstractUser) -> ObjectType:
    """Return the object of that name, whatever its case. Raises `NoSuchResource` for one that the user may not see.

    Whoever may write an object may see it; what they may do to it, the write door says.
    """
    try:
        found = catalogue.get_object(api_name)
    except UnknownObject as error:
        raise NoSuchResource from error
    if not may(user, found, "read"):
        raise NoSuchResource
    return found


def objects_seen(user: AbstractUser) -> list[ObjectType]:
    """Return the objects that the user may see, by name."""
    return [one for one in catalogue.all_objects() if may(user, one, "read")]


def find(object_type: ObjectType, record_id: str, user: AbstractUser) -> Stored:
    """Return the live record of that id that the user sees. Raises `NoSuchResource`."""
    try:
        prefix, pk = decode(record_id)
    except MalformedId as error:
        raise NoSuchResource from error
    if prefix != object_type.key_prefix:
        raise NoSuchResource
    return find_by_key(object_type, pk, user)


def held(stored: Stored, user: AbstractUser) -> Stored:
    """Return the record as it is now, and stays until the transaction ends. Raises `NoSuchResource`."""
    found = _rows(stored.object_type, user, models.Q(pk=stored.pk), holds=True)
    if not found:
        raise NoSuchResource
    return found[0]


def find_by_key(object_type: ObjectType, pk: int, user: AbstractUser) -> Stored:
    """Return the live record with that primary key that the user sees. Raises `NoSuchResource`."""
    found = find_all(object_type, [pk], user)
    if not found:
        raise NoSuchResource
    return found[0]


def find_all(object_type: ObjectType, pks: Collection[int], user: AbstractUser) -> list[Stored]:
    """Return the live records with these primary keys that the user sees, by key."""
    possible = [pk for pk in pks if pk <= MAX_PRIMARY_KEY]
    return _rows(object_type, user, models.Q(pk__in=possible)) if possible else []


def find_each(object_type: ObjectType, record_ids: Sequence[str], user: AbstractUser) -> list[Stored | None]:
    """Return the live record of each id, in order, with one query; `None` where the user sees none.

    Raises `MalformedId`.
    """
    wanted = [decode(record_id) for record_id in record_ids]
    pks = {pk for prefix, pk in wanted if prefix == object_type.key_prefix and pk <= MAX_PRIMARY_KEY}
    found = {stored.row["pk"]: stored for stored in _rows(object_type, user, models.Q(pk__in=pks))} if pks else {}
    return [found.get(pk) if prefix == object_type.key_prefix else None for prefix, pk in wanted]


def external_id_field(object_type: ObjectType, name: str, user: AbstractUser) -> FieldType:
    """Return the external id field of that name, if the user sees it. Raises `NoSuchResource`."""
    field = object_type.find_field(name)
    if field is None or not field.external_id or not can_read_field(user, object_type, field):
        raise NoSuchResource(f"Provided external ID field does not exist or is not accessible: {name}")
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
    values = {field.api_name: _value(field, stored, path) for field in fields}
    return {"attributes": {"type": stored.object_type.api_name, "url": path}, **values}


def blob_of(stored: Stored, field: FieldType) -> bytes:
    """Return what a blob field of the record holds. Raises `NoSuchResource` when it holds nothing."""
    model = stored.object_type.model
    row = None if model is None else model._base_manager.filter(pk=stored.pk).only("pk", field.attname).first()
    value: Any = getattr(row, field.attname, None)
    if not value:
        raise NoSuchResource
    if isinstance(value, FieldFile):
        try:
            with value.open("rb") as file:
                return bytes(file.read())
        except OSError as error:
            raise NoSuchResource from error
    return bytes(value)


def _rows(object_type: ObjectType, user: AbstractUser, condition: models.Q, *, holds: bool = False) -> list[Stored]:
    if object_type.model is None:
        return []
    blobs = {f"holds_{field.attname}": field.attname for field in object_type.fields if _is_blob(field)}
    columns = {_column(field) for field in object_type.fields if not _is_blob(field)}
    rows = sharing.visible(user, object_type, live_rows(object_type.model).filter(condition)).order_by("pk")
    rows = rows.select_for_update(of=("self",)) if holds else rows
    filled = {alias: is_filled(object_type.model, attname) for alias, attname in blobs.items()}
    found = rows.annotate(**filled).values("pk", *sorted(columns - {"pk"}), *blobs)
    # Blobs stay where they are; a record only tells whether it has one.
    return [Stored(object_type, {blobs.get(name, name): value for name, value in row.items()}) for row in found]


def is_filled(model: type[models.Model], attname: str, column: str = "") -> Any:
    """Return the condition that a blob field of the model holds something. `column`: where a query finds it."""
    column = column or attname
    empty: Any = "" if isinstance(model._meta.get_field(attname), models.FileField) else b""
    filled = models.Q(**{f"{column}__isnull": False}) & ~models.Q(**{column: empty})
    return models.ExpressionWrapper(filled, output_field=models.BooleanField())


def _is_blob(field: FieldType) -> bool:
    return field.type is FieldKind.BASE64


def _value(field: FieldType, stored: Stored, path: str) -> Any:
    value = stored.row.get(_column(field))
    if _is_blob(field):
        return f"{path}/{field.api_name}" if value else None
    return rest_value(field, value)


def _column(field: FieldType) -> str:
    return "pk" if field.type is FieldKind.ID else field.attname
