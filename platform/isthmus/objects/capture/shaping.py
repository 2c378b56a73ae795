"""From what the triggers noted to changes as readers know them: API names, record ids, values as JSON carries them."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections, models, router

from isthmus.logs import get_logger
from isthmus.objects import catalogue
from isthmus.objects.capture.changes import WHOLE_OBJECT_ID, Change, ChangeType
from isthmus.objects.capture.context import WriteContext, read_context
from isthmus.objects.models import RawChange, RawOperation
from isthmus.objects.object_types import ObjectType
from isthmus.objects.reading import told_fields
from isthmus.objects.record_ids import encode
from isthmus.objects.wire_values import to_wire

__all__ = ["STAMPS", "as_changes", "readable"]

log = get_logger(__name__)

STAMPS = frozenset({"LastModifiedDate", "LastModifiedById"})
"""Fields that tell only that something else changed: a change of these alone is none."""

_UNREADABLE = (ValueError, TypeError, ValidationError, ArithmeticError)
"""What a value raises that its field cannot hold."""


def readable() -> models.Q:
    """Return the condition on rows that `as_changes` can read here: those of objects that this process knows."""
    return models.Q(object_name__in=[found.api_name for found in catalogue.all_objects()])


def as_changes(rows: Iterable[RawChange]) -> Iterator[Change]:
    """Yield the changes that these rows tell of, in their order.

    What nobody outside can see is left out: a record that is deleted for good after it went to the recycle bin, or
    changed while it lies there. What a field cannot hold (SQLite takes any value) makes the change a gap. Raises
    `UnknownObject` for a change of an object that the code here does not know.
    """
    for row in rows:
        change = _as_change(row)
        if change is not None:
            yield change


def _as_change(row: RawChange) -> Change | None:
    object_type = catalogue.get_object(row.object_name)
    shaper = _shaper(object_type, catalogue.generation())
    change_type = shaper.change_type(row)
    if change_type is None:
        return None
    if change_type is ChangeType.GAP_OVERFLOW:
        return _change(row, change_type, WHOLE_OBJECT_ID, {})
    record_id = encode(object_type.key_prefix, row.record_pk or 0)
    try:
        fields = shaper.fields(row, change_type)
    except _UNREADABLE as error:
        log.warning("capture.gap", object=row.object_name, record=record_id, reason=str(error))
        return _change(row, change_type.as_gap(), record_id, {})
    if change_type is ChangeType.UPDATE and not fields.keys() - STAMPS:
        return None
    change = _change(row, change_type, record_id, fields)
    return (
        replace(change, fields_before=partial(_fields_before, shaper, row))
        if change_type is ChangeType.DELETE
        else change
    )


def _fields_before(shaper: "_Shaper", row: RawChange) -> Mapping[str, Any] | None:
    try:
        return shaper.all_fields(row.old_values or {})
    except _UNREADABLE:
        return None


def _change(row: RawChange, change_type: ChangeType, record_id: str, fields: Mapping[str, Any]) -> Change:
    context = _context(row.context)
    return Change(
        object_name=row.object_name,
        record_id=record_id,
        change_type=change_type,
        changed_fields=fields,
        user_id=context.user_id or None,
        origin=context.origin,
        correlation_id=context.correlation_id,
        occurred_at=row.created_at,
        cause=context.cause,
        note=row.pk,
    )


@functools.lru_cache(maxsize=256)
def _context(text: str) -> WriteContext:
    return read_context(text)


class _Shaper:
    """Reads the columns of one object's table."""

    def __init__(self, object_type: ObjectType) -> None:
        fields = {field.attname: field for field in _model_of(object_type)._meta.concrete_fields}
        self._columns = [
            (fields[told.attname].column, told, _reader(fields[told.attname])) for told in told_fields(object_type)
        ]
        deleted = fields.get("is_deleted") if getattr(object_type.model, "soft_deletes", False) else None
        self._deleted = deleted.column if deleted is not None else ""

    def change_type(self, row: RawChange) -> ChangeType | None:
        """Return what the outside sees; `None` when nothing that it can see."""
        if row.operation == RawOperation.TRUNCATE:
            return ChangeType.GAP_OVERFLOW
        if row.operation == RawOperation.SNAPSHOT:
            return ChangeType.SNAPSHOT if self._is_live(row.new_values) else None
        was_there, is_there = self._is_live(row.old_values), self._is_live(row.new_values)
        if was_there and is_there:
            return ChangeType.UPDATE
        if was_there:
            return ChangeType.DELETE
        if is_there:
            return ChangeType.CREATE if row.operation == RawOperation.INSERT else ChangeType.UNDELETE
        return None

    def fields(self, row: RawChange, change_type: ChangeType) -> dict[str, Any]:
        """Return the new values: those that changed of an UPDATE, those that are set of any other."""
        old, new = row.old_values or {}, row.new_values or {}
        if change_type is ChangeType.DELETE:
            return {}
        if change_type is ChangeType.UPDATE:
            changed = (entry for entry in self._columns if old.get(entry[0]) != new.get(entry[0]))
            return {told.api_name: to_wire(told, read(new.get(column))) for column, told, read in changed}
        return self.all_fields(new)

    def all_fields(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """Return every field of a row that is not null."""
        found = ((told, to_wire(told, read(values.get(column)))) for column, told, read in self._columns)
        return {told.api_name: value for told, value in found if value is not None}

    def _is_live(self, values: Mapping[str, Any] | None) -> bool:
        return values is not None and not (self._deleted and values.get(self._deleted))


@functools.lru_cache(maxsize=512)
def _shaper(object_type: ObjectType, _generation: int) -> _Shaper:
    return _Shaper(object_type)


def _model_of(object_type: ObjectType) -> type[models.Model]:
    if object_type.model is None:
        raise ValueError(f"{object_type.api_name} has no table.")
    return object_type.model


def _reader(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    """Return what makes a Python value of the JSON in which a database wrote the column."""
    target: Any = field
    while isinstance(target, models.ForeignKey):
        target = target.target_field
    if isinstance(target, models.JSONField):
        # SQLite has no type of its own for it and writes a text.
        is_text = connections[router.db_for_write(field.model)].vendor == "sqlite"
        return lambda value: json.loads(value) if is_text and value is not None else value
    if isinstance(target, models.DateTimeField):
        return lambda value: None if value is None else _in_utc(target.to_python(value))
    if isinstance(target, models.DecimalField):
        # SQLite keeps more digits than the field has; who reads the record gets it rounded like this.
        places, context = Decimal(1).scaleb(-target.decimal_places), target.context
        return lambda value: None if value is None else Decimal(str(value)).quantize(places, context=context)
    return lambda value: None if value is None else target.to_python(value)


def _in_utc(moment: datetime) -> datetime:
    # SQLite's times are in UTC and do not say so.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
