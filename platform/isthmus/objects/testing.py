"""Doubles for tests of code that changes records."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from isthmus.objects.capture.changes import Change
from isthmus.objects.capture.shaping import as_changes
from isthmus.objects.models import RawChange

__all__ = ["ChangeRecorder", "recorded_changes"]

_STAMPS = {"LastModifiedDate", "LastModifiedById", "CreatedDate", "CreatedById", "OwnerId"}


class ChangeRecorder:
    """Tells which changes the database has noted since it was made, or since it was cleared."""

    def __init__(self) -> None:
        self._after = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything so far."""
        self._after = RawChange.objects.order_by("-id").values_list("id", flat=True).first() or self._after

    @property
    def changes(self) -> list[Change]:
        """The changes in the order in which they were made; what was rolled back is not among them."""
        return list(as_changes(RawChange.objects.filter(id__gt=self._after).order_by("id")))

    @property
    def told(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Object name, change type and changed fields of each change; who and when left out."""
        return [
            (
                change.object_name,
                change.change_type.value,
                {name: value for name, value in change.changed_fields.items() if name not in _STAMPS},
            )
            for change in self.changes
        ]


@contextmanager
def recorded_changes() -> Iterator[ChangeRecorder]:
    """Tell what is captured while the block runs."""
    yield ChangeRecorder()
