"""The recycle bin: moving records there with what depends on them, and bringing them back.

The models' own `on_delete` rules are followed among records: CASCADE takes the dependent along, SET_NULL clears its
reference (and remembers it), PROTECT and RESTRICT refuse. Rows that are no records are left alone: what they refer
to is still there. The number of statements depends on the number of relations, not of rows.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

from django.apps import apps
from django.db import models, transaction
from django.db.models.deletion import CASCADE, DO_NOTHING, RestrictedError, get_candidate_relations_to_delete

from isthmus import clock, ids
from isthmus.objects.capture import acting_user, orm
from isthmus.objects.errors import UndeleteRefused

__all__ = ["delete", "forget_cleared_references", "undelete"]

Model: TypeAlias = type[models.Model]
Found: TypeAlias = dict[Model, dict[int, models.Model]]
Relation: TypeAlias = "models.ForeignKey[Any, Any]"


def delete(model: Model, queryset: models.QuerySet[Any], using: str) -> tuple[int, dict[str, int]]:
    """Move `queryset`, live records of `model`, to the recycle bin. Returns counts as Django's delete does.

    Raises `ProtectedError` or `RestrictedError`, and deletes nothing, when a live record keeps one from going.
    """
    # A savepoint: a refusal leaves the caller's transaction as it was.
    with transaction.atomic(using=using):
        collected = _Collected(using)
        collected.collect(_held(queryset, using))
        collected.raise_if_restricted()
        deletion = ids.new_uuid()
        collected.clear_references(deletion)
        for found_model, instances in collected.found.items():
            _mark(found_model, list(instances.values()), using, is_deleted=True, deletion=deletion)
    counts = {found._meta.label: len(instances) for found, instances in collected.found.items() if instances}
    return sum(counts.values()), counts


def undelete(model: Model, queryset: models.QuerySet[Any], using: str) -> int:
    """Bring back `queryset`, deleted records of `model`, with what the same deletions took along.

    Raises `UndeleteRefused`, and restores nothing, when one depends on a record that stays deleted.
    """
    with transaction.atomic(using=using):
        found: Found = {}
        _collect_deleted(_held(queryset, using), found, using)
        for found_model, instances in found.items():
            _require_parents(found_model, instances, found, using)
        deletions = {cast("Any", row).deletion for rows in found.values() for row in rows.values()}
        for found_model, instances in found.items():
            _mark(found_model, list(instances.values()), using, is_deleted=False, deletion=None)
        _restore_references(found, deletions, using)
    return sum(len(instances) for instances in found.values())


def forget_cleared_references(model: Model, pks: Sequence[int] | models.QuerySet[Any, Any], using: str) -> None:
    """Forget which references to these rows were cleared: they are gone for good."""
    _memory().using(using).filter(target_label=model._meta.label, target_pk__in=pks).delete()


class _Collected:
    """What a deletion reaches. Django's `on_delete` rules call `collect` and `add_field_update` on it."""

    def __init__(self, using: str) -> None:
        self._using = using
        self.found: Found = {}
        self._cleared: list[tuple[Relation, Any, models.QuerySet[Any]]] = []
        self._restricted: list[tuple[RestrictedError, set[models.Model]]] = []

    def collect(self, instances: Iterable[models.Model], **_: Any) -> None:
        """Take these records, and what their relations make of the dependent ones."""
        rows = list(instances)
        if not rows:
            return
        model = _concrete(type(rows[0]))
        known = self.found.setdefault(model, {})
        new = [row for row in rows if row.pk not in known]
        known.update({row.pk: row for row in new})
        if not new:
            return
        for relation in _relations_among_records(model):
            self._follow(relation, [row.pk for row in new])

    def add_field_update(self, field: Relation, value: Any, instances: models.QuerySet[Any]) -> None:
        """Note that the reference `field` of these records becomes `value`."""
        self._cleared.append((field, value, instances))

    def raise_if_restricted(self) -> None:
        """Raise the first RESTRICT that this deletion itself does not lift by taking the dependents along."""
        for error, rows in self._restricted:
            if any(row.pk not in self.found.get(_concrete(type(row)), {}) for row in rows):
                raise error

    def clear_references(self, deletion: uuid.UUID) -> None:
        """Set the references that the deletion leaves behind, and remember the ones that become null."""
        memory = _memory()
        for field, value, instances in self._cleared:
            model = field.model
            staying = instances.exclude(pk__in=list(self.found.get(_concrete(model), {})))
            old = list(staying.values_list("pk", field.attname))
            if not old:
                continue
            memory.using(self._using).bulk_create(
                memory.model(
                    deletion=deletion,
                    record_label=model._meta.label,
                    record_pk=pk,
                    field_name=field.name,
                    target_label=field.related_model._meta.label,
                    target_pk=target,
                )
                for pk, target in old
            )
            model._base_manager.using(self._using).filter(pk__in=[pk for pk, _ in old]).update(**{field.name: value})

    def _follow(self, relation: Relation, pks: Sequence[int]) -> None:
        on_delete = relation.remote_field.on_delete or DO_NOTHING
        dependents = _held(
            _base(relation.model, self._using).filter(**{f"{relation.name}__in": pks, "is_deleted": False}), self._using
        )
        if not getattr(on_delete, "lazy_sub_objs", False) and not dependents:
            return
        try:
            on_delete(cast("Any", self), relation, cast("Any", dependents), self._using)
        except RestrictedError as error:
            self._restricted.append((error, cast("set[models.Model]", set(error.restricted_objects))))


def _relations_among_records(model: Model) -> Iterator[Relation]:
    for related in get_candidate_relations_to_delete(model._meta):
        field = cast("Relation", cast("Any", related).field)
        if getattr(related.related_model, "soft_deletes", False) and field.remote_field.on_delete is not DO_NOTHING:
            yield field


def _collect_deleted(instances: Iterable[models.Model], found: Found, using: str) -> None:
    rows = list(instances)
    if not rows:
        return
    model = _concrete(type(rows[0]))
    known = found.setdefault(model, {})
    new = [row for row in rows if row.pk not in known]
    known.update({row.pk: row for row in new})
    deletions = {cast("Any", row).deletion for row in new}
    for relation in _relations_among_records(model):
        if new and relation.remote_field.on_delete is CASCADE:
            taken_along = _base(relation.model, using).filter(
                **{f"{relation.name}__in": [row.pk for row in new]}, is_deleted=True, deletion__in=deletions
            )
            _collect_deleted(_held(taken_along, using), found, using)


def _require_parents(model: Model, instances: dict[int, models.Model], found: Found, using: str) -> None:
    for field in model._meta.concrete_fields:
        target = field.related_model
        if not isinstance(field, models.ForeignKey) or not getattr(target, "soft_deletes", False):
            continue
        if field.remote_field.on_delete is not CASCADE or isinstance(target, str):
            continue
        back = found.get(_concrete(cast("Model", target)), {})
        wanted = {vars(row)[field.attname] for row in instances.values()} - {None} - back.keys()
        gone = wanted and _base(cast("Model", target), using).filter(pk__in=wanted, is_deleted=True).first()
        if gone:
            raise UndeleteRefused(
                f"The {cast('Model', target)._meta.verbose_name} it belongs to is deleted. Undelete that first."
            )


def _mark(
    model: Model, instances: Sequence[models.Model], using: str, *, is_deleted: bool, deletion: uuid.UUID | None
) -> None:
    now, user = clock.now(), acting_user()
    values: dict[str, Any] = {
        "is_deleted": is_deleted,
        "deletion": deletion,
        "last_modified_date": now,
        "last_modified_by_id": user.pk if user else None,
        "system_modstamp": now,
    }
    for chunk in orm.in_chunks([instance.pk for instance in instances]):
        _base(model, using).filter(pk__in=chunk).update(**values)
    for instance in instances:
        vars(instance).update(values)
    orm.remember_written(instances, list(values), using)


def _restore_references(found: Found, deletions: set[uuid.UUID], using: str) -> None:
    labels = {model._meta.label: instances for model, instances in found.items()}
    remembered = _memory().using(using).filter(deletion__in=deletions, target_label__in=labels)
    cleared = [row for row in remembered if row.target_pk in labels[row.target_label]]
    by_field: dict[tuple[str, str], dict[int, int]] = {}
    for row in cleared:
        by_field.setdefault((row.record_label, row.field_name), {})[row.record_pk] = row.target_pk
    for (label, name), targets in by_field.items():
        model = apps.get_model(label)
        attname = cast("Relation", model._meta.get_field(name)).attname
        # A reference that was given a new value since is left as it is.
        rows = list(_held(_base(model, using).filter(pk__in=list(targets), **{f"{name}__isnull": True}), using))
        for row in rows:
            setattr(row, attname, targets[row.pk])
        model._base_manager.using(using).bulk_update(rows, [name])
    _memory().using(using).filter(pk__in=[row.pk for row in cleared]).delete()


def _held(queryset: models.QuerySet[Any], using: str) -> models.QuerySet[Any]:
    """Return the same rows, locked until the transaction ends where the database can, in an order that all keep."""
    rows = queryset.using(using).select_related(None).order_by("pk")
    if queryset.query.distinct or queryset.query.group_by is not None or len(queryset.query.alias_map) > 1:
        rows = _base(queryset.model, using).filter(pk__in=list(rows.values_list("pk", flat=True))).order_by("pk")
    return rows.select_for_update()


def _base(model: Model, using: str) -> models.QuerySet[Any]:
    return model._base_manager.using(using)


def _concrete(model: Model) -> Model:
    return model._meta.concrete_model or model


def _memory() -> models.Manager[Any]:
    return apps.get_model("objects", "ClearedReference")._base_manager
