"""What a record is known to hold after it was written through the ORM, so that a save writes only what changed.

The changes themselves are noted by the database (`triggers/`); this tells only who listens for `record_changed`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.models import DEFERRED, signals
from django.db.models.fields.generated import GeneratedField

from isthmus.objects.capture.changes import ChangeType
from isthmus.objects.capture.signals import is_wanted, send_after_commit
from isthmus.objects.capture.snapshots import UNKNOWN, current_scope, snapshot_of, take_snapshot

__all__ = [
    "CHUNK_SIZE",
    "STAMPS",
    "column_names",
    "computes_on_save",
    "in_chunks",
    "is_expression",
    "remember_created",
    "remember_written",
    "watch",
]

STAMPS = frozenset({"last_modified_date", "last_modified_by_id", "system_modstamp"})
"""Columns that tell only that something else changed."""

CHUNK_SIZE = 10_000
"""Primary keys in one statement: a third of what the smallest usual limit on parameters allows."""


def column_names(model: type[models.Model]) -> list[str]:
    """Return the attribute names of the columns that are written, the primary key left out."""
    return [
        field.attname
        for field in model._meta.concrete_fields
        if not field.primary_key and not isinstance(field, GeneratedField)
    ]


def computes_on_save(field: "models.Field[Any, Any]") -> bool:
    """Return whether the field may give itself another value just before it is saved."""
    if isinstance(field, models.DateField | models.TimeField):
        return field.auto_now
    return type(field).pre_save is not models.Field.pre_save


def is_expression(value: Any) -> bool:
    """Return whether the database computes the value."""
    return hasattr(value, "resolve_expression")


def in_chunks(pks: Sequence[int]) -> Iterable[Sequence[int]]:
    """Cut `pks` so that each piece fits into one statement."""
    return (pks[start : start + CHUNK_SIZE] for start in range(0, len(pks), CHUNK_SIZE))


def watch(model: type[models.Model]) -> None:
    """Begin to remember what saves of instances of `model` write."""
    signals.post_save.connect(_after_save, sender=model, dispatch_uid="isthmus.capture")
    signals.post_delete.connect(_after_purge, sender=model, dispatch_uid="isthmus.capture")


def remember_created(instances: Sequence[models.Model], using: str) -> None:
    """Note that these instances were inserted."""
    for instance in instances:
        _remember(instance, _held(instance, _all_names(type(instance))), using, anew=True)


def remember_written(instances: Sequence[models.Model], names: Sequence[str], using: str) -> None:
    """Note that `names` of these instances were written."""
    for instance in instances:
        _remember(instance, _held(instance, names), using, anew=False)


def _after_save(
    sender: type[models.Model],
    instance: models.Model,
    created: bool,
    using: str,
    update_fields: frozenset[str] | None,
    **_: Any,
) -> None:
    if created:
        send_after_commit(sender, [instance.pk], ChangeType.CREATE, using)
        remember_created([instance], using)
    else:
        names = column_names(sender) if update_fields is None else _attnames(sender, update_fields)
        _tell_of_update(sender, instance, names, using)
        remember_written([instance], names, using)


def _after_purge(sender: type[models.Model], instance: models.Model, using: str, **_: Any) -> None:
    # What lay in the recycle bin was told of when it went there.
    if not getattr(instance, "is_deleted", False):
        send_after_commit(sender, [instance.pk], ChangeType.DELETE, using)


def _tell_of_update(sender: type[models.Model], instance: models.Model, names: Sequence[str], using: str) -> None:
    if not is_wanted(sender):
        return
    known = snapshot_of(instance)
    changed = set(names) if known is None else known.changed(instance, names)
    if changed - STAMPS:
        send_after_commit(sender, [instance.pk], ChangeType.UPDATE, using, attnames=changed)


def _remember(instance: models.Model, values: Mapping[str, Any], using: str, *, anew: bool) -> None:
    snapshot = None if anew else snapshot_of(instance)
    if snapshot is None:
        snapshot = take_snapshot(instance, {})
    snapshot.wrote({**values, instance._meta.pk.attname: instance.pk}, current_scope(using))


def _held(instance: models.Model, names: Sequence[str]) -> dict[str, Any]:
    """Return what the row holds now; `UNKNOWN` for what the database computed and for what was not loaded."""
    by_name = {field.attname: field for field in instance._meta.concrete_fields}
    held = {name: vars(instance).get(name, DEFERRED) for name in names}
    return {
        name: UNKNOWN if value is DEFERRED or is_expression(value) else by_name[name].to_python(value)
        for name, value in held.items()
    }


def _all_names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if not field.primary_key]


def _attnames(model: type[models.Model], names: Iterable[str]) -> list[str]:
    wanted = set(names)
    return [field.attname for field in model._meta.concrete_fields if {field.name, field.attname} & wanted]
