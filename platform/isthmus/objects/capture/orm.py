"""Capture of whatever goes through Django's ORM: saves, bulk statements, deletions, cascades.

A save costs no extra statement. A bulk statement costs one that reads (and locks) the rows' old values, and one more
that reads new values only where an expression computed them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models, transaction
from django.db.models import DEFERRED, signals
from django.db.models.fields.generated import GeneratedField

from isthmus import clock, correlation
from isthmus.objects import catalogue
from isthmus.objects.capture.actors import acting_origin, acting_user
from isthmus.objects.capture.changes import WHOLE_OBJECT_ID, Change, ChangeType
from isthmus.objects.capture.sinks import hand_over
from isthmus.objects.capture.snapshots import current_scope, snapshot_of, take_snapshot
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.record_ids import encode, record_id_of
from isthmus.objects.wire_values import to_wire

__all__ = [
    "RowChange",
    "column_names",
    "computes_on_save",
    "hand_over_rows",
    "in_chunks",
    "is_expression",
    "note_created",
    "note_upserted",
    "note_written",
    "tracked_object",
    "update_and_note",
    "watch",
]

CHUNK_SIZE = 10_000
"""Primary keys in one statement: a third of what the smallest usual limit on parameters allows."""

_WRITTEN_SILENTLY = {"SystemModstamp", "IsDeleted"}
_STAMPS = {"LastModifiedDate", "LastModifiedById"}


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """What happened to one row, by attribute names."""

    pk: int
    values: Mapping[str, Any]
    """All values for a row that came to be or came back, else those that were written."""
    changed: frozenset[str] = frozenset()
    created: bool = False
    was_deleted: bool = False
    is_deleted: bool = False

    @property
    def change_type(self) -> ChangeType | None:
        """What the outside sees; `None` when nothing that it can see."""
        if self.is_deleted:
            return None if self.was_deleted or self.created else ChangeType.DELETE
        if self.created:
            return ChangeType.CREATE
        return ChangeType.UNDELETE if self.was_deleted else ChangeType.UPDATE


def tracked_object(model: type[models.Model]) -> ObjectType | None:
    """Return the sObject whose changes are captured when rows of `model` change; `None` when none are."""
    found = catalogue.object_of_model(model)
    return found if found is not None and found.track_changes else None


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


def _all_names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if not field.primary_key]


def is_expression(value: Any) -> bool:
    """Return whether the database computes the value."""
    return hasattr(value, "resolve_expression")


def in_chunks(pks: Sequence[int]) -> Iterable[Sequence[int]]:
    """Cut `pks` so that each piece fits into one statement."""
    return (pks[start : start + CHUNK_SIZE] for start in range(0, len(pks), CHUNK_SIZE))


# --- shaping ----------------------------------------------------------------------------------------------------------
def hand_over_rows(object_type: ObjectType, rows: Iterable[RowChange]) -> None:
    """Tell the sinks what happened to these rows."""
    shape = _shaper(object_type)
    hand_over([change for row in rows if (change := shape(row)) is not None])


def _shaper(object_type: ObjectType) -> Callable[[RowChange], Change | None]:
    user = acting_user()
    user_id = record_id_of(user) if user is not None else None
    origin, correlation_id, occurred_at = acting_origin(), correlation.current(), clock.now()
    columns = [
        field
        for field in object_type.fields
        if field.attname and not field.calculated and field.api_name not in _WRITTEN_SILENTLY and field.api_name != "Id"
    ]

    def shape(row: RowChange) -> Change | None:
        change_type = row.change_type
        if change_type is None:
            return None
        fields = _fields_of(change_type, row, columns)
        if change_type is ChangeType.UPDATE and not fields.keys() - _STAMPS:
            return None
        return Change(
            object_name=object_type.api_name,
            record_id=encode(object_type.key_prefix, row.pk),
            change_type=change_type,
            changed_fields=fields,
            user_id=user_id,
            origin=origin,
            correlation_id=correlation_id,
            occurred_at=occurred_at,
        )

    return shape


def _fields_of(change_type: ChangeType, row: RowChange, columns: Sequence[FieldType]) -> dict[str, Any]:
    if change_type is ChangeType.DELETE:
        return {}
    if change_type is ChangeType.UPDATE:
        return {
            field.api_name: to_wire(field, row.values[field.attname])
            for field in columns
            if field.attname in row.changed
        }
    found = {field.api_name: to_wire(field, row.values.get(field.attname)) for field in columns}
    return {name: value for name, value in found.items() if value is not None}


def _gap(object_type: ObjectType, change_type: ChangeType, record_id: str) -> Change:
    user = acting_user()
    return Change(
        object_name=object_type.api_name,
        record_id=record_id,
        change_type=change_type,
        changed_fields={},
        user_id=record_id_of(user) if user is not None else None,
        origin=acting_origin(),
        correlation_id=correlation.current(),
        occurred_at=clock.now(),
    )


# --- one instance -----------------------------------------------------------------------------------------------------
def watch(model: type[models.Model]) -> None:
    """Begin to capture what happens to instances of `model`: saves and real deletions."""
    signals.post_save.connect(_after_save, sender=model, dispatch_uid="isthmus.capture")
    signals.pre_delete.connect(_before_purge, sender=model, dispatch_uid="isthmus.capture")
    signals.post_delete.connect(_after_purge, sender=model, dispatch_uid="isthmus.capture")


def _after_save(
    sender: type[models.Model],
    instance: models.Model,
    created: bool,
    using: str,
    update_fields: frozenset[str] | None,
    **_: Any,
) -> None:
    written = column_names(sender) if update_fields is None else _attnames(sender, update_fields)
    if created:
        written = _all_names(sender)
    before = None if created else snapshot_of(instance)
    values = _stored_values(instance, written, using)
    row = RowChange(
        pk=instance.pk,
        values=values,
        changed=frozenset(written if before is None else before.changed(instance, written)),
        created=created,
        was_deleted=bool(before.get("is_deleted", False)) if before is not None else False,
        # Not loaded: then it is a live one, and asking would cost a statement.
        is_deleted=bool(vars(instance).get("is_deleted", False)),
    )
    if row.change_type is ChangeType.UNDELETE:
        row = replace(row, values=_stored_values(instance, _all_names(sender), using))
    _remember(instance, row.values, using, anew=created)
    if (object_type := tracked_object(sender)) is not None:
        hand_over_rows(object_type, [row])


def _remember(instance: models.Model, values: Mapping[str, Any], using: str, *, anew: bool) -> None:
    snapshot = None if anew else snapshot_of(instance)
    if snapshot is None:
        snapshot = take_snapshot(instance, {})
    pk = instance._meta.pk
    snapshot.wrote({**values, **({pk.attname: instance.pk} if pk is not None else {})}, current_scope(using))


def _stored_values(instance: models.Model, names: Sequence[str], using: str) -> dict[str, Any]:
    """Return what the row holds now; asks the database only for values that it computed or that were not loaded."""
    held = vars(instance)
    values = {name: held[name] for name in names if name in held and not is_expression(held[name])}
    if unknown := [name for name in names if name not in values]:
        manager = type(instance)._base_manager.using(using)
        values.update(manager.filter(pk=instance.pk).values(*unknown).get())
    by_name = {field.attname: field for field in instance._meta.concrete_fields}
    return {name: by_name[name].to_python(value) for name, value in values.items()}


def _attnames(model: type[models.Model], names: Iterable[str]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if {field.name, field.attname} & set(names)]


# --- bulk statements --------------------------------------------------------------------------------------------------
def update_and_note(
    queryset: models.QuerySet[Any],
    values: Mapping[str, Any],
    run: Callable[[models.QuerySet[Any]], int],
) -> int:
    """Run an UPDATE through `run` and tell what it changed. Returns the number of rows."""
    model, using = queryset.model, queryset.db
    given = _by_attname(model, values)
    columns = list(given) if "is_deleted" in given else [*given, "is_deleted"]
    with transaction.atomic(using=using, savepoint=False):
        before = _lock_and_read(queryset, columns)
        if not before:
            return 0
        pks = list(before)
        count = sum(run(queryset.filter(pk__in=chunk)) for chunk in in_chunks(pks))
        after = _values_after(model, using, before, given)
        rows = [_row_change(pk, before[pk], after[pk], given) for pk in pks if pk in after]
        if object_type := tracked_object(model):
            hand_over_rows(object_type, rows)
    return count


def _row_change(pk: int, before: Mapping[str, Any], after: Mapping[str, Any], given: Mapping[str, Any]) -> RowChange:
    return RowChange(
        pk=pk,
        values=after,
        changed=frozenset(name for name in given if before[name] != after[name]),
        was_deleted=before["is_deleted"],
        is_deleted=after["is_deleted"],
    )


def _by_attname(model: type[models.Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an UPDATE assigns: attribute name → Python value or expression."""
    found = {}
    for name, value in values.items():
        # Anything but a column of this model is for Django to refuse.
        with suppress(FieldDoesNotExist):
            field = model._meta.get_field(name)
            if isinstance(field, models.Field) and field.concrete:
                found[field.attname] = _assigned(field, value)
    return found


def _assigned(field: "models.Field[Any, Any]", value: Any) -> Any:
    if is_expression(value):
        return value
    if isinstance(value, models.Model) and isinstance(field, models.ForeignKey):
        return getattr(value, field.target_field.attname)
    return field.to_python(value)


def _lock_and_read(queryset: models.QuerySet[Any], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Return the rows that an UPDATE of `queryset` would change, by primary key, held until the transaction ends.

    On PostgreSQL the rows are locked, and the condition is evaluated again on what a concurrent transaction left:
    `filter(state="new").update(state="taken")` stays a compare-and-set. SQLite has one writer at a time.
    """
    names = ["pk", *dict.fromkeys(columns)]
    plain = queryset.order_by("pk").select_related(None) if _is_lockable(queryset) else queryset.order_by()
    if connections[queryset.db].features.has_select_for_update:
        if not _is_lockable(queryset):
            base = queryset.model._base_manager.using(queryset.db)
            held = list(
                base.filter(pk__in=plain.values("pk")).order_by("pk").select_for_update().values_list("pk", flat=True)
            )
            plain = plain.filter(pk__in=held)
        else:
            plain = plain.select_for_update()
    return {values[0]: dict(zip(names[1:], values[1:], strict=True)) for values in plain.values_list(*names)}


def _is_lockable(queryset: models.QuerySet[Any]) -> bool:
    query = queryset.query
    return not query.distinct and query.group_by is None and len(query.alias_map) <= 1


def _values_after(
    model: type[models.Model], using: str, before: Mapping[int, Mapping[str, Any]], given: Mapping[str, Any]
) -> Mapping[int, Mapping[str, Any]]:
    comes_back = given.get("is_deleted", True) is not True and any(row["is_deleted"] for row in before.values())
    if not comes_back and not any(is_expression(value) for value in given.values()):
        return {pk: {**row, **given} for pk, row in before.items()}
    names = _all_names(model) if comes_back else [*dict.fromkeys([*given, "is_deleted"])]
    after: dict[int, Mapping[str, Any]] = {}
    for chunk in in_chunks(list(before)):
        found = model._base_manager.using(using).filter(pk__in=chunk).values_list("pk", *names)
        after.update({values[0]: dict(zip(names, values[1:], strict=True)) for values in found})
    return after


def note_created(model: type[models.Model], instances: Sequence[models.Model], using: str) -> None:
    """Tell that these instances were inserted by one statement; their primary keys are known."""
    names = _all_names(model)
    values = {instance.pk: {name: vars(instance).get(name, DEFERRED) for name in names} for instance in instances}
    unread = [pk for pk, row in values.items() if any(is_expression(v) or v is DEFERRED for v in row.values())]
    for chunk in in_chunks(unread):
        found = model._base_manager.using(using).filter(pk__in=chunk).values_list("pk", *names)
        values.update({row[0]: dict(zip(names, row[1:], strict=True)) for row in found})
    converters = {field.attname: field.to_python for field in model._meta.concrete_fields}
    rows = []
    for instance in instances:
        stored = {name: converters[name](value) for name, value in values[instance.pk].items()}
        _remember(instance, stored, using, anew=True)
        rows.append(
            RowChange(pk=instance.pk, values=stored, created=True, is_deleted=bool(stored.get("is_deleted", False)))
        )
    if object_type := tracked_object(model):
        hand_over_rows(object_type, rows)


def note_upserted(model: type[models.Model], instances: Sequence[models.Model]) -> None:
    """Tell that these instances were inserted, updated or ignored; which of it, the database does not say."""
    object_type = tracked_object(model)
    if object_type is None or not instances:
        return
    if any(instance.pk is None for instance in instances):
        hand_over([_gap(object_type, ChangeType.GAP_OVERFLOW, WHOLE_OBJECT_ID)])
        return
    ids = [encode(object_type.key_prefix, instance.pk) for instance in instances]
    hand_over([_gap(object_type, ChangeType.GAP_UPDATE, record_id) for record_id in ids])


def note_written(
    model: type[models.Model], instances: Sequence[models.Model], names: Sequence[str], using: str
) -> None:
    """Tell that `names` of these instances, whose snapshots are true, were written by one statement."""
    rows = []
    for instance in instances:
        before = snapshot_of(instance)
        values = {name: vars(instance)[name] for name in _all_names(model)}
        rows.append(
            RowChange(
                pk=instance.pk,
                values=values,
                changed=frozenset(names if before is None else before.changed(instance, names)),
                was_deleted=bool(before.get("is_deleted", False)) if before is not None else False,
                is_deleted=bool(values.get("is_deleted", False)),
            )
        )
        _remember(instance, {name: values[name] for name in names}, using, anew=False)
    if object_type := tracked_object(model):
        hand_over_rows(object_type, rows)


# --- real deletions, one by one or by a cascade -----------------------------------------------------------------------
_PURGE = "_isthmus_purge"


class _Purge:
    """One run of Django's deletion: all `pre_delete` come first, all `post_delete` last, so the last one is known."""

    def __init__(self) -> None:
        self.awaited: set[tuple[type[models.Model], int]] = set()
        self.rows: dict[ObjectType, list[RowChange]] = {}


def _before_purge(sender: type[models.Model], instance: models.Model, origin: Any, **_: Any) -> None:
    if origin is None:
        return
    key = (sender, instance.pk)
    purge: _Purge | None = getattr(origin, _PURGE, None)
    if purge is None or purge.rows or key in purge.awaited:
        # What is left of an earlier attempt, which failed midway, does not count.
        purge = _Purge()
        setattr(origin, _PURGE, purge)
    purge.awaited.add(key)


def _after_purge(sender: type[models.Model], instance: models.Model, origin: Any, **_: Any) -> None:
    # A deletion that names no origin is handed over row by row.
    purge: _Purge = getattr(origin, _PURGE, None) or _Purge()
    purge.awaited.discard((sender, instance.pk))
    if (object_type := tracked_object(sender)) is not None:
        # What lay in the recycle bin is gone for the outside already.
        was_deleted = bool(getattr(instance, "is_deleted", False))
        row = RowChange(pk=instance.pk, values={}, was_deleted=was_deleted, is_deleted=True)
        purge.rows.setdefault(object_type, []).append(row)
    if not purge.awaited:
        if hasattr(origin, _PURGE):
            delattr(origin, _PURGE)
        for gone_from, rows in purge.rows.items():
            hand_over_rows(gone_from, rows)
