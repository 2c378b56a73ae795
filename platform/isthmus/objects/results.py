"""What the write door is asked and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ROLLED_BACK", "Operation", "SaveError", "SaveResult"]


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


ROLLED_BACK = SaveError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)
"""Nothing is wrong with the row itself: another one failed, and all were to be written or none."""


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

    def rolled_back(self) -> "SaveResult":
        """Return the result once everything was undone: a failure stays what it was."""
        return SaveResult.failed([ROLLED_BACK], None if self.created else self.id) if self.success else self
