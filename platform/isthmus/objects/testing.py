"""Doubles for tests of code that changes records."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from isthmus.objects.capture import Change, register_sink_temporarily

__all__ = ["ChangeRecorder", "recorded_changes"]

_STAMPS = {"LastModifiedDate", "LastModifiedById", "CreatedDate", "CreatedById", "OwnerId"}


class ChangeRecorder:
    """A sink that remembers the changes it was told of, and in how many calls."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.calls = 0

    def __call__(self, changes: Sequence[Change]) -> None:
        self.calls += 1
        self.changes.extend(changes)

    def clear(self) -> None:
        """Forget everything so far."""
        self.changes.clear()
        self.calls = 0

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
    """Record what is captured while the block runs; rolled-back changes are recorded too, sinks cannot know."""
    recorder = ChangeRecorder()
    with register_sink_temporarily(recorder):
        yield recorder
