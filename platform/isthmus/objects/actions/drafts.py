"""A row on its way into the database, and what has been found wrong with it so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from isthmus.objects.object_types import FieldType
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.results import SaveError, SaveResult

__all__ = ["Draft", "Lookup"]


@dataclass(frozen=True)
class Lookup:
    """A reference given by what an outside system calls its target."""

    reference: FieldType
    external_id: FieldType
    value: Any


@dataclass(eq=False)
class Draft:
    """One row. `values` maps attribute names to Python values; `instance` is the record once there is one."""

    given: Mapping[str, Any]
    record_id: str | None = None
    pk: int | None = None
    instance: models.Model | None = None
    is_new: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)
    errors: list[SaveError] = field(default_factory=list)
    candidates: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it so far."""
        return not self.errors

    def fail(self, code: str, message: str, *fields: str) -> None:
        """Note what is wrong."""
        self.errors.append(SaveError(code, message, fields))

    def forget_attempt(self) -> None:
        """Undo in memory what the database undid, so that the record can be tried again."""
        if self.is_new and self.instance is not None:
            self.instance.pk = None
            self.instance._state.adding = True  # noqa: SLF001 - Django's documented way to make an instance new again

    def result(self) -> SaveResult:
        """Return what to answer for the row."""
        if self.errors:
            return SaveResult.failed(self.errors, self.record_id, candidates=self.candidates)
        assert self.instance is not None  # noqa: S101 - for the type checker: a sound draft was written
        return SaveResult(id=record_id_of(self.instance), created=self.is_new, success=True)
