"""What a row of a query looks like as JSON: fields, records inside records, lists of children.

Rows are written a column at a time (`wire_columns`): of a page of two thousand that is most of the work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from isthmus.objects.object_types import FieldType
from records.wire_columns import Column, write_ids

__all__ = ["ChildMember", "FieldMember", "Member", "ParentMember", "Shape"]

Columns = Sequence[Sequence[Any]]


class Member(Protocol):
    """One member of a record."""

    name: str

    def written(self, columns: Columns, base: str) -> Sequence[Any]:
        """Return the member's values, one a row. `columns`: what the database gave; `base`: the version's path."""


@dataclass
class FieldMember:
    """A field."""

    name: str
    index: int
    """Which column it is."""
    field: FieldType
    write: Column

    def written(self, columns: Columns, base: str) -> Sequence[Any]:
        return self.write(columns[self.index])


@dataclass
class ChildMember:
    """The children of a record, which were read before; null where there are none."""

    name: str
    key_index: int
    found: Callable[[], Mapping[int, Any]]
    """Returns the lists of children by the record's primary key."""

    def written(self, columns: Columns, base: str) -> Sequence[Any]:
        found = self.found()
        return [found.get(key) for key in columns[self.key_index]]


@dataclass
class Shape:
    """A record: `attributes`, then its members in order."""

    object_name: str
    key_prefix: str
    key_index: int
    members: list[Member] = field(default_factory=list)

    def written(self, columns: Columns, base: str) -> list[dict[str, Any]]:
        """Return the records."""
        url = f"{base}/sobjects/{self.object_name}/"
        kind = self.object_name
        ids = write_ids(self.key_prefix)(columns[self.key_index])
        attributes = [{"type": kind, "url": url + record_id} if record_id else None for record_id in ids]
        names = ("attributes", *(member.name for member in self.members))
        values = [
            # Its own id is written already.
            ids if isinstance(member, FieldMember) and member.index == self.key_index else member.written(columns, base)
            for member in self.members
        ]
        return [dict(zip(names, row, strict=True)) for row in zip(attributes, *values, strict=True)]


@dataclass
class ParentMember:
    """The record that a field refers to; null where it refers to none, or to one that the user does not see."""

    name: str
    shape: Shape

    def written(self, columns: Columns, base: str) -> Sequence[Any]:
        found = self.shape.written(columns, base)
        return [
            record if key is not None else None
            for key, record in zip(columns[self.shape.key_index], found, strict=True)
        ]
