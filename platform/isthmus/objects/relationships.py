"""How objects refer to each other: from a child up to its parent, and from a parent down to its children.

>>> parent_of(get_object("Contact"), "Account").target.api_name
'Account'
>>> child_of(get_object("Account"), "Contacts").field.api_name
'AccountId'
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

from isthmus.objects import catalogue
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType

__all__ = [
    "ChildRelationship",
    "ParentRelationship",
    "child_of",
    "child_relationships",
    "on_delete",
    "parent_of",
]


@dataclass(frozen=True)
class ChildRelationship:
    """The records of `owner` whose `field` refers to a record."""

    name: str | None
    """Such as `Contacts`; `None` for a reference that has no way back."""
    owner: ObjectType
    field: FieldType


@dataclass(frozen=True)
class ParentRelationship:
    """The record that a field refers to."""

    name: str
    field: FieldType
    target: ObjectType


_children: dict[ObjectType, tuple[ChildRelationship, ...]] = {}
_made_for = -1


def child_relationships(object_type: ObjectType) -> Sequence[ChildRelationship]:
    """Return everything that refers to records of the object."""
    global _made_for
    if _made_for != catalogue.generation():
        _children.clear()
        _made_for = catalogue.generation()
    if object_type not in _children:
        _children[object_type] = tuple(_find_children(object_type))
    return _children[object_type]


def child_of(object_type: ObjectType, name: str) -> ChildRelationship | None:
    """Return the children of that relationship name, whatever its case; `None` when there are none."""
    wanted = name.lower()
    return next((one for one in child_relationships(object_type) if one.name and one.name.lower() == wanted), None)


def parent_of(object_type: ObjectType, name: str) -> ParentRelationship | None:
    """Return the parent of that relationship name (`Account`, `Region__r`), whatever its case; `None` without one."""
    wanted = name.lower()
    for field in object_type.fields:
        if field.relationship_name and field.relationship_name.lower() == wanted and field.reference_to:
            return ParentRelationship(field.relationship_name, field, catalogue.get_object(field.reference_to[0]))
    return None


def on_delete(field: FieldType, owner: ObjectType) -> Any:
    """Return what Django does to a record of `owner` when the record goes that `field` names; `None` for no record."""
    column = _column(field, owner)
    return None if column is None else column.remote_field.on_delete


def _find_children(object_type: ObjectType) -> Sequence[ChildRelationship]:
    return [
        ChildRelationship(_name_back(field, owner), owner, field)
        for owner in catalogue.all_objects()
        for field in owner.fields
        if field.type is FieldKind.REFERENCE and object_type.api_name in field.reference_to
    ]


def _name_back(field: FieldType, owner: ObjectType) -> str | None:
    column = _column(field, owner)
    hidden = column is None or column.remote_field.hidden
    name = None if hidden or column is None else column.remote_field.get_accessor_name()
    if name is None:
        return None
    spelt = "".join(word.capitalize() for word in name.removesuffix("_set").split("_"))
    return f"{spelt}__r" if field.custom else spelt


def _column(field: FieldType, owner: ObjectType) -> "models.ForeignKey[Any, Any] | None":
    if owner.model is None or field.type is not FieldKind.REFERENCE:
        return None
    column = owner.model._meta.get_field(field.django_name)
    return column if isinstance(column, models.ForeignKey) else None
