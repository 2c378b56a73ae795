"""What records hold now, as change events tell it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.db import models

from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.wire_values import to_wire

__all__ = ["as_wire", "current_values", "live_rows", "told_fields"]

_LEFT_OUT = frozenset({"Id", "IsDeleted", "SystemModstamp"})
"""Fields that change events never carry: the id travels in the header; the others tell nothing about the data."""

_AT_ONCE = 1_000


def told_fields(object_type: ObjectType) -> list[FieldType]:
    """Return the fields that the object's change events carry: those with a column of their own.

    Blobs are left out: a change of nothing else is not told.
    """
    columns = {field.attname for field in object_type.model._meta.concrete_fields} if object_type.model else set()
    return [
        field
        for field in object_type.fields
        if field.attname in columns
        and not field.calculated
        and field.type is not FieldKind.BASE64
        and field.api_name not in _LEFT_OUT
    ]


def live_rows(model: type[models.Model]) -> "models.QuerySet[Any]":
    """Return the rows that are not in the recycle bin."""
    rows: models.QuerySet[Any] = model._base_manager.all()
    return rows.filter(is_deleted=False) if getattr(model, "soft_deletes", False) else rows


def as_wire(fields: Sequence[FieldType], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row (by attribute name) by API name, as JSON carries them."""
    return {field.api_name: to_wire(field, row[field.attname]) for field in fields}


def current_values(object_type: ObjectType, pks: Sequence[int], names: Collection[str]) -> dict[int, dict[str, Any]]:
    """Return by primary key what these fields hold now, those of records in the recycle bin as well.

    Records that are gone are left out.
    """
    fields = [field for field in told_fields(object_type) if field.api_name in names]
    return {row["pk"]: as_wire(fields, row) for some in _chunks(pks) for row in _rows(object_type, some, fields)}


def _rows(object_type: ObjectType, pks: Sequence[int], fields: Sequence[FieldType]) -> Iterator[dict[str, Any]]:
    if object_type.model is None:
        return iter(())
    rows: models.QuerySet[Any] = object_type.model._base_manager.filter(pk__in=pks)
    return iter(rows.values("pk", *(field.attname for field in fields)))


def _chunks(pks: Sequence[int]) -> Iterator[Sequence[int]]:
    wanted = sorted(set(pks))
    return (wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE))
