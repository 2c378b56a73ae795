"""Queries to begin with, made of the objects that the user sees."""

from dataclasses import dataclass

from isthmus.objects.object_types import FieldKind, ObjectType
from records.explorer.query_texts import select
from records.explorer.schema import Schema

__all__ = ["Example", "examples"]

_FIRST = ("Account", "Contact", "Opportunity", "Case", "Lead")
"""Objects that people look for first, where they are seen."""


@dataclass(frozen=True)
class Example:
    """A query and what it shows."""

    title: str
    text: str


def examples(schema: Schema, chosen: ObjectType | None = None) -> list[Example]:
    """Return some queries that the user may run: about the chosen object, or one that people know."""
    about = chosen or _usual(schema)
    if about is None:
        return []
    made = [_newest, _with_parent, _with_children, _recently_changed, _number]
    return [found for make in made if (found := make(schema, about)) is not None]


def _usual(schema: Schema) -> ObjectType | None:
    known = (schema.find(name) for name in _FIRST)
    # What everybody may read (the organisation) is nothing to begin with.
    granted = next((one for one in schema.objects if one.access is None), None)
    return next((found for found in known if found is not None), granted)


def _fields(schema: Schema, about: ObjectType) -> list[str]:
    field = schema.name_field(about)
    return ["Id", field.api_name] if field is not None else ["Id"]


def _newest(schema: Schema, about: ObjectType) -> Example:
    order = ["ORDER BY CreatedDate DESC"] if about.find_field("CreatedDate") else []
    text = select(_fields(schema, about), about.api_name, *order, "LIMIT 10")
    return Example(f"The newest {about.label_plural.lower()}", text)


def _with_parent(schema: Schema, about: ObjectType) -> Example | None:
    for field in schema.fields(about):
        parent = schema.find(field.targets[0]) if field.relationship else None
        name = schema.name_field(parent) if parent is not None and parent is not about else None
        if name is not None and not field.type.system:
            fields = [*_fields(schema, about), f"{field.relationship}.{name.api_name}"]
            text = select(fields, about.api_name, f"WHERE {field.type.api_name} != null", "LIMIT 10")
            return Example(f"With a field of the parent {field.relationship}", text)
    return None


def _with_children(schema: Schema, about: ObjectType) -> Example | None:
    for child in schema.children(about):
        if child.name and child.owner is not about:
            inner = select(_fields(schema, child.owner), child.name)
            text = select([*_fields(schema, about), f"({inner})"], about.api_name, "LIMIT 10")
            return Example(f"Each with its {child.owner.label_plural.lower()}", text)
    return None


def _recently_changed(schema: Schema, about: ObjectType) -> Example | None:
    stamp = about.find_field("LastModifiedDate")
    if stamp is None or stamp.type is not FieldKind.DATETIME:
        return None
    fields = [*_fields(schema, about), "LastModifiedDate"]
    text = select(fields, about.api_name, "WHERE LastModifiedDate = LAST_N_DAYS:7", "ORDER BY LastModifiedDate DESC")
    return Example("Changed in the last seven days", text)


def _number(_schema: Schema, about: ObjectType) -> Example:
    return Example("How many there are", select(["COUNT()"], about.api_name))
