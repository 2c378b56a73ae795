"""A captured change: what the capture hands over, whichever implementation saw it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["WHOLE_OBJECT_ID", "Change", "ChangeType"]

WHOLE_OBJECT_ID = "000000000000000AAA"
"""The record id of a GAP_OVERFLOW change: any record of the object may have changed."""


class ChangeType(StrEnum):
    """What happened. A gap tells that something did, without telling what: the reader has to look at the record."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    UNDELETE = "UNDELETE"
    GAP_CREATE = "GAP_CREATE"
    GAP_UPDATE = "GAP_UPDATE"
    GAP_DELETE = "GAP_DELETE"
    GAP_UNDELETE = "GAP_UNDELETE"
    GAP_OVERFLOW = "GAP_OVERFLOW"
    SNAPSHOT = "SNAPSHOT"
    """Nothing: it tells what a record holds, for readers that have to begin somewhere."""

    def as_gap(self) -> "ChangeType":
        """Return the type that tells of this one without details."""
        if self.is_gap:
            return self
        return ChangeType.GAP_UPDATE if self is ChangeType.SNAPSHOT else ChangeType(f"GAP_{self}")

    @property
    def is_gap(self) -> bool:
        """Whether the details are missing."""
        return self.name.startswith("GAP_")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change of one record.

    `changed_fields` maps API names to new values that JSON can hold: CREATE, UNDELETE and SNAPSHOT carry every field
    that is not null, UPDATE the fields that changed (`None` for those set to null) and always `LastModifiedDate`,
    DELETE and gaps nothing. Date-times read `2026-06-01T12:00:00.000Z`, references are 18-character record ids.
    `IsDeleted`, `SystemModstamp` and calculated fields are never among them.
    """

    object_name: str
    record_id: str
    """18 characters; `WHOLE_OBJECT_ID` for GAP_OVERFLOW."""
    change_type: ChangeType
    changed_fields: Mapping[str, Any]
    user_id: str | None
    """The 18-character id of the user who made the change; `None` when nobody was said to act."""
    origin: str
    """Through which door the change came, as the caller named it; "" when it did not."""
    correlation_id: str
    occurred_at: datetime
    cause: str = ""
    """What the change was made in, as `isthmus.causes` has it."""
    note: int = 0
    """The number of the database's note: no other change has it."""
    fields_before: Callable[[], Mapping[str, Any] | None] = field(default=dict, compare=False)
    """Of a DELETE: gives every field that was not null; `None` when that cannot be told. Others: nothing."""
