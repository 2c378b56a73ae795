"""Reads and bulk writes of records; `delete` moves to the recycle bin."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar, cast

from django.db import models, transaction

from isthmus import clock
from isthmus.objects import deletion
from isthmus.objects.capture import ChangeType, acting_user, orm
from isthmus.objects.capture.signals import is_wanted, send_after_commit
from isthmus.objects.capture.snapshots import snapshot_of
from isthmus.objects.sharing import narrowed

__all__ = ["LiveManager", "RecordManager", "RecordQuerySet"]

T = TypeVar("T", bound=models.Model)


class RecordQuerySet(models.QuerySet[T]):
    """Records, live and deleted ones alike unless it comes from `objects`."""

    def live(self) -> "RecordQuerySet[T]":
        """Return those that are not in the recycle bin."""
        return self.filter(is_deleted=False)

    def deleted(self) -> "RecordQuerySet[T]":
        """Return those in the recycle bin."""
        return self.filter(is_deleted=True)

    def update(self, **kwargs: Any) -> int:
        """Update in one statement; who and when is noted unless `kwargs` say so."""
        if self.model._meta.pk is not None and {"pk", self.model._meta.pk.name} & kwargs.keys():
            raise ValueError("A record keeps its id for good.")
        values = {**_stamps(kwargs), **kwargs}
        if not is_wanted(self.model) or self.query.is_sliced:
            return super().update(**values)
        with transaction.atomic(using=self.db, savepoint=False):
            pks = list(self.order_by().values_list("pk", flat=True))
            count = super().update(**values)
            self._tell_of_update(pks, values)
        return count

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates

    def bulk_create(
        self,
        objs: Iterable[T],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[T]:
        """Insert in one statement a batch."""
        instances = list(objs)
        now, user = clock.now(), acting_user()
        for instance in instances:
            cast("Any", instance).stamp_creation(now, user)
        if update_conflicts and update_fields is not None:
            update_fields = [*dict.fromkeys([*update_fields, *_stamps({})])]
        created = super().bulk_create(
            instances,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )
        # What became of each row in a conflict, the database does not say: the next save writes everything.
        if not (ignore_conflicts or update_conflicts):
            orm.remember_created(created, self.db)
            send_after_commit(self.model, [instance.pk for instance in created], ChangeType.CREATE, self.db)
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates

    def bulk_update(self, objs: Iterable[T], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update these fields of all `objs` in one statement a batch."""
        instances, names = list(objs), list(fields)
        count = super().bulk_update(instances, names, batch_size=batch_size)
        attnames = [cast("Any", self.model._meta.get_field(name)).attname for name in names]
        orm.remember_written([instance for instance in instances if snapshot_of(instance)], attnames, self.db)
        return count

    bulk_update.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates

    def _tell_of_update(self, pks: list[int], values: Mapping[str, Any]) -> None:
        """Tell who listens of those among `pks` that carry the stamp of this very update."""
        columns = {name: cast("Any", self.model._meta.get_field(name)).attname for name in values}
        rows = self.model._base_manager.using(self.db).filter(system_modstamp=values["system_modstamp"])
        for chunk in orm.in_chunks(pks):
            found = sorted(rows.filter(pk__in=chunk).values_list("pk", flat=True))
            kind = _kind_of_update(values)
            names = columns.values() if kind is ChangeType.UPDATE else None
            send_after_commit(self.model, found, kind, self.db, attnames=names)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Move the live ones, and what depends on them, to the recycle bin. Returns counts as Django's delete does."""
        if self.query.is_sliced:
            raise TypeError("Cannot use 'limit' or 'offset' with delete().")
        return deletion.delete(self.model, self.filter(is_deleted=False), self.db)

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates
    delete.queryset_only = True  # type: ignore[attr-defined]  # no `Model.objects.delete()` that empties a table

    def undelete(self) -> int:
        """Bring back those in the recycle bin, and what went with them. Returns how many records came back.

        Raises `UndeleteRefused`, and restores nothing, when one depends on a record that stays deleted.
        """
        return deletion.undelete(self.model, self.filter(is_deleted=True), self.db)

    undelete.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates
    undelete.queryset_only = True  # type: ignore[attr-defined]  # as for `delete`

    def purge(self) -> tuple[int, dict[str, int]]:
        """Delete for good, by Django's rules for cascades."""
        with transaction.atomic(using=self.db, savepoint=False):
            deletion.forget_cleared_references(self.model, self.order_by().values("pk"), self.db)
            return super().delete()

    purge.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates
    purge.queryset_only = True  # type: ignore[attr-defined]  # as for `delete`


class RecordManager(models.Manager.from_queryset(RecordQuerySet)):  # type: ignore[misc]  # made at run time
    """All records, those in the recycle bin included."""


class LiveManager(RecordManager):
    """Records that are not in the recycle bin; where record sharing is enforced, those that the user sees."""

    def get_queryset(self) -> RecordQuerySet[Any]:
        return narrowed(cast("RecordQuerySet[Any]", super().get_queryset().filter(is_deleted=False)))


def _kind_of_update(given: Mapping[str, Any]) -> ChangeType:
    if "is_deleted" not in given:
        return ChangeType.UPDATE
    return ChangeType.DELETE if given["is_deleted"] else ChangeType.UNDELETE


def _stamps(given: Iterable[str]) -> dict[str, Any]:
    """Return who and when, as far as `given` does not say so itself."""
    now, user = clock.now(), acting_user()
    stamps = {"last_modified_date": now, "last_modified_by": user, "system_modstamp": now}
    if "last_modified_by_id" in given:
        del stamps["last_modified_by"]
    return {name: value for name, value in stamps.items() if name not in given}
