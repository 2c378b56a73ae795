"""One record as its page shows it: every field, what refers to it, who changed it last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from isthmus.objects import sharing
from isthmus.objects.object_types import ObjectType
from isthmus.objects.reading import live_rows
from isthmus.objects.record_ids import decode
from isthmus.objects.relationships import ChildRelationship
from records.explorer.query_texts import select
from records.explorer.schema import Schema, ShownField
from records.explorer.tables import shown

__all__ = ["MOST_COUNTED", "Change", "Related", "Value", "last_change", "related", "values"]

MOST_COUNTED = 1_000
"""Related records are counted up to this number; from there on the page says "more than"."""


@dataclass(frozen=True)
class Value:
    """A field and what the record holds in it."""

    field: ShownField
    text: str
    is_null: bool
    object_name: str = ""
    """The object of the record that the value names, "" for other values."""
    name: str = ""
    """What that record is called."""


@dataclass(frozen=True)
class Change:
    """Who did something last, and when."""

    at: datetime | None
    user_id: str
    user_name: str
    object_name: str
    """The object of the user, "" where it is not seen."""


@dataclass(frozen=True)
class Related:
    """Records of another object that refer to the record."""

    child: ChildRelationship
    count: int
    text: str
    """The query that gives them."""

    @property
    def is_more(self) -> bool:
        """Whether there are more than were counted."""
        return self.count > MOST_COUNTED


def values(schema: Schema, object_type: ObjectType, record: Mapping[str, Any]) -> list[Value]:
    """Return every field that the API gave, in the order of describe. One query for each record that is referred to."""
    names: dict[str, str] = {}
    found = []
    for field in schema.fields(object_type):
        value = record.get(field.type.api_name)
        text = shown(value)
        object_name = schema.object_of_id(text)
        is_other = bool(object_name) and text != record.get("Id")
        if is_other and text not in names:
            names[text] = schema.name_of(text)
        found.append(Value(field, text, value is None, object_name if is_other else "", names.get(text, "")))
    return found


def last_change(shown_values: Sequence[Value], *, of: str = "LastModified") -> Change | None:
    """Return who changed the record last, or created it (`of="Created"`); `None` where the object does not say."""
    by_name = {value.field.type.api_name: value for value in shown_values}
    when, who = by_name.get(f"{of}Date"), by_name.get(f"{of}ById")
    if when is None and who is None:
        return None
    return Change(
        at=None if when is None or when.is_null else datetime.fromisoformat(when.text),
        user_id=who.text if who else "",
        user_name=who.name if who else "",
        object_name=who.object_name if who else "",
    )


def related(schema: Schema, user: User, object_type: ObjectType, record_id: str) -> list[Related]:
    """Return what refers to the record and how many the user sees of each. One query for each relationship."""
    _, pk = decode(record_id)
    found = []
    for child in schema.children(object_type):
        if child.owner.model is None:
            continue
        rows = live_rows(child.owner.model).filter(**{child.field.attname: pk})
        seen = sharing.visible(user, child.owner, rows)
        count = seen.order_by()[: MOST_COUNTED + 1].count()
        found.append(Related(child, count, _query(schema, child, record_id)))
    return found


def _query(schema: Schema, child: ChildRelationship, record_id: str) -> str:
    name = schema.name_field(child.owner)
    fields = ["Id"] if name is None else ["Id", name.api_name]
    return select(fields, child.owner.api_name, f"WHERE {child.field.api_name} = '{record_id}'")
