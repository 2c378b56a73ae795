"""What the index of one object holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db import models
from django.db.models.fields.generated import GeneratedField

from isthmus.objects.object_types import FieldKind, FieldType, ObjectType

__all__ = ["TOTAL_CHARACTERS", "IndexPlan", "IndexedColumn", "plan_for"]

AnyField: TypeAlias = "models.Field[Any, Any]"

TOTAL_CHARACTERS = 150_000
"""How much of a record is indexed. PostgreSQL keeps at most a megabyte of words a row. Fields that may hold more share
what the others leave, and are found by what stands in that part of them."""


@dataclass(frozen=True, kw_only=True)
class IndexedColumn:
    """One column, in one of the two ways in which it can be searched."""

    code: int
    """Its number in the index, from 1."""
    api_name: str
    column: str
    attname: str
    is_number: bool = False
    """Whether it is indexed as a telephone number, not as words."""
    characters: int
    """How many are indexed."""


@dataclass(frozen=True, kw_only=True)
class IndexPlan:
    """One searched table."""

    object_name: str
    table: str
    primary_key: str
    """Name of the column."""
    columns: tuple[IndexedColumn, ...]


def plan_for(object_type: ObjectType) -> IndexPlan | None:
    """Return what to index of an object; `None` when nothing of it can be searched."""
    if object_type.model is None or not object_type.queryable:
        return None
    model = object_type.model._meta.concrete_model or object_type.model
    own = {field.attname: field for field in model._meta.local_concrete_fields}
    texts = [
        (field, own[field.attname])
        for field in object_type.fields
        if field.type.is_text and not field.calculated and field.attname in own and _is_plain_text(own[field.attname])
    ]
    if not texts or not isinstance(model._meta.pk, models.AutoField | models.IntegerField):
        return None
    entries = [*((field, column, False) for field, column in texts), *_numbers(texts)]
    shares = _shares([field.length for field, _ in texts])
    return IndexPlan(
        object_name=object_type.api_name,
        table=model._meta.db_table,
        primary_key=str(model._meta.pk.column),
        columns=tuple(
            IndexedColumn(
                code=code,
                api_name=field.api_name,
                column=str(column.column),
                attname=field.attname,
                is_number=is_number,
                characters=shares[code - 1] if code <= len(shares) else 0,
            )
            for code, (field, column, is_number) in enumerate(entries, start=1)
        ),
    )


def _numbers(
    texts: Iterable[tuple[FieldType, AnyField]],
) -> list[tuple[FieldType, AnyField, bool]]:
    return [(field, column, True) for field, column in texts if field.type is FieldKind.PHONE]


def _is_plain_text(field: AnyField) -> bool:
    """Return whether the database holds the very text that users see."""
    valued = field.output_field if isinstance(field, GeneratedField) else field
    return isinstance(valued, models.CharField | models.TextField) and not hasattr(valued, "from_db_value")


def _shares(lengths: Sequence[int]) -> list[int]:
    """Return how many characters of each field are indexed, for their lengths (0: without a limit)."""
    given = {place: length or TOTAL_CHARACTERS for place, length in enumerate(lengths)}
    left, shares = TOTAL_CHARACTERS, [0] * len(lengths)
    for done, (place, length) in enumerate(sorted(given.items(), key=lambda entry: entry[1])):
        shares[place] = min(length, left // (len(lengths) - done))
        left -= shares[place]
    return shares
