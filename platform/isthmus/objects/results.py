"""What the write door is asked and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Operation", "SaveError", "SaveResult"]


class Operation(StrEnum):
    """What happens to the rows."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    UNDELETE = "undelete"


@dataclass(frozen=True)
class SaveError:
    """Why a row was not written."""

    code: str
    """Salesforce's name for it, such as `REQUIRED_FIELD_MISSING`."""
    message: str
    fields: tuple[str, ...] = ()
    """API names of the fields at fault."""


@dataclass(frozen=True)
class SaveResult:
    """What became of one row."""

    id: str | None
    """The record's 18-character id; `None` when there is no such record."""
    created: bool
    success: bool
    errors: tuple[SaveError, ...] = ()
    candidates: tuple[str, ...] = ()
    """The ids of all records that an external id could mean, when it means more than one."""

    @classmethod
    def failed(
        cls, errors: Sequence[SaveError], record_id: str | None = None, *, candidates: tuple[str, ...] = ()
    ) -> "SaveResult":
        """Return the result of a row that was not written."""
        return cls(id=record_id, created=False, success=False, errors=tuple(errors), candidates=candidates)
