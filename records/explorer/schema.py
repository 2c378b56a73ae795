"""What a user sees of the objects: those to choose from, their fields, and how they refer to each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from isthmus.objects import catalogue
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import readable_children, readable_fields
from isthmus.objects.record_ids import decode
from isthmus.objects.relationships import ChildRelationship
from records import reading
from records.errors import NoSuchResource

__all__ = ["Schema", "ShownField"]

_ID_LENGTH = 18


@dataclass(frozen=True)
class ShownField:
    """A field as the pages list it."""

    type: FieldType
    targets: tuple[str, ...]
    """The objects that it refers to and that the user sees."""

    @property
    def relationship(self) -> str:
        """The name by which a query reaches the parent's fields; "" where it cannot."""
        return self.type.relationship_name if self.targets else ""

    @property
    def length(self) -> str:
        """The size as it is written behind the type: `(40)`, `(18, 2)`; "" for a type without one."""
        if self.type.length and self.type.type.is_text:
            return f"({self.type.length})"
        return f"({self.type.precision}, {self.type.scale})" if self.type.precision else ""


class Schema:
    """The objects through the eyes of one user, for the time of one request."""

    def __init__(self, user: User) -> None:
        self._user = user
        self.objects: list[ObjectType] = [one for one in reading.objects_seen(user) if one.queryable]
        self._by_name = {one.api_name.lower(): one for one in self.objects}

    def find(self, name: str) -> ObjectType | None:
        """Return the object of that name, whatever its case; `None` for one that does not exist or is not seen."""
        return self._by_name.get(name.lower())

    def get(self, name: str) -> ObjectType:
        """Return the object of that name, whatever its case. Raises `NoSuchResource`."""
        found = self.find(name)
        if found is None:
            raise NoSuchResource
        return found

    def fields(self, object_type: ObjectType) -> list[ShownField]:
        """Return the fields that the user sees."""
        return [
            ShownField(field, tuple(name for name in _targets(field) if self.find(name)))
            for field in readable_fields(self._user, object_type)
        ]

    def children(self, object_type: ObjectType) -> list[ChildRelationship]:
        """Return what refers to records of the object, as far as the user sees the other object and its field."""
        return [
            child
            for child in readable_children(self._user, object_type)
            if self.find(child.owner.api_name) is child.owner
        ]

    def object_of_id(self, text: str) -> str:
        """Return the name of the object whose record the id names; "" for other texts and for unseen objects."""
        if len(text) != _ID_LENGTH:
            return ""
        try:
            prefix, _ = decode(text)
        except MalformedId:
            return ""
        found = catalogue.object_of_prefix(prefix)
        return found.api_name if found is not None and self.find(found.api_name) is found else ""

    def name_of(self, record_id: str) -> str:
        """Return what a record that an id names is called; "" for one that the user does not see. One query."""
        object_type = self.find(self.object_of_id(record_id))
        if object_type is None:
            return ""
        field = self.name_field(object_type)
        if field is None:
            return ""
        try:
            stored = reading.find(object_type, record_id, self._user)
        except NoSuchResource:
            return ""
        return str(stored.row.get(field.attname) or "")

    def name_field(self, object_type: ObjectType) -> FieldType | None:
        """Return the field that names the records, if the user sees it."""
        fields = readable_fields(self._user, object_type)
        named = next((field for field in fields if field.name_field), None)
        return named or next((field for field in fields if field.api_name in {"Name", "Username"}), None)

    def for_completion(self, object_type: ObjectType) -> dict[str, Any]:
        """Return what the editor suggests from: fields, parents, children, values of picklists."""
        return {
            "name": object_type.api_name,
            "label": object_type.label,
            "fields": [
                {
                    "name": field.type.api_name,
                    "label": field.type.label,
                    "type": field.type.type.value,
                    "relationship": field.relationship,
                    "target": field.targets[0] if field.targets else "",
                    "values": [value.value for value in field.type.picklist_values],
                }
                for field in self.fields(object_type)
            ],
            "children": [
                {"name": child.name, "target": child.owner.api_name}
                for child in self.children(object_type)
                if child.name
            ],
        }


def _targets(field: FieldType) -> Sequence[str]:
    return field.reference_to if field.type is FieldKind.REFERENCE else ()
