"""`Record`, the base of everything that is a record, and what the recycle bin has to remember."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models, router, transaction
from django.db.models.fields.generated import GeneratedField
from django.db.models.signals import class_prepared
from django.dispatch import receiver

from isthmus import clock
from isthmus.objects import deletion, record_ids
from isthmus.objects.capture import acting_user, orm
from isthmus.objects.capture.snapshots import snapshot_of, take_snapshot
from isthmus.objects.errors import UndeleteRefused
from isthmus.objects.object_types import SharingDefault
from isthmus.objects.querysets import LiveManager, RecordManager

__all__ = ["ClearedReference", "Organization", "Record"]


class Record(models.Model):
    """A row that the outside may know: who made and changed it, and a recycle bin instead of deletion.

    `objects` has the live records, `all_objects` also those in the recycle bin. A loaded record writes only what was
    changed on it: two who change different fields do not undo each other.
    """

    soft_deletes: ClassVar[bool] = True

    created_date = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    last_modified_date = models.DateTimeField(editable=False)
    last_modified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    system_modstamp = models.DateTimeField(editable=False, db_index=True)
    is_deleted = models.BooleanField("deleted", default=False, editable=False)
    deletion = models.UUIDField(
        null=True,
        editable=False,
        db_index=True,
        help_text="What went to the recycle bin together, comes back together.",
    )

    objects = LiveManager()
    all_objects = RecordManager()

    class Meta:
        abstract = True
        base_manager_name = "all_objects"
        default_manager_name = "objects"

    def save(
        self,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save, noting who and when. Of a loaded record only what changed since is written."""
        names = None if update_fields is None else frozenset(update_fields)
        if names is None or names:
            names = self._stamp_and_choose(names, is_insert=bool(force_insert) or self._state.adding)
        super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=names)

    @property
    def record_id(self) -> str:
        """The 18-character id. Raises `NoRecordId` before the first save."""
        return record_ids.record_id_of(self)

    def stamp_creation(self, now: datetime, user: AbstractUser | None) -> None:
        """Note who makes the record and when; called before every insertion, bulk ones included."""
        user_id = user.pk if user is not None else None
        self.created_date = self.created_date or now
        self.created_by_id = self.created_by_id or user_id
        self.last_modified_date, self.last_modified_by_id, self.system_modstamp = now, user_id, now

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Move the record, and what depends on it, to the recycle bin. Returns counts as Django's delete does.

        Raises `ProtectedError` or `RestrictedError`, and deletes nothing, when another record keeps it from going.
        """
        alias = using or router.db_for_write(type(self), instance=self)
        counted = deletion.delete(type(self), self._own_row(alias).filter(is_deleted=False), alias)
        self.refresh_from_db(using=alias, fields=_BIN_FIELDS)
        return counted

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates

    def undelete(self) -> int:
        """Bring the record back with what its deletion took along; returns how many records came back.

        Raises `UndeleteRefused` when it is not in the recycle bin, or depends on a record that is.
        """
        alias = router.db_for_write(type(self), instance=self)
        count = deletion.undelete(type(self), self._own_row(alias).filter(is_deleted=True), alias)
        if not count:
            raise UndeleteRefused("entity is not in the recycle bin")
        self.refresh_from_db(using=alias, fields=_BIN_FIELDS)
        return count

    undelete.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates

    def purge(self, using: str | None = None) -> tuple[int, dict[str, int]]:
        """Delete the record for good, by Django's rules for cascades."""
        alias = using or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=alias, savepoint=False):
            deletion.forget_cleared_references(type(self), [self.pk], alias)
            return super().delete(using=alias)

    purge.alters_data = True  # type: ignore[attr-defined]  # Django's mark against calls from templates

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> "Self":
        instance = super().from_db(db, field_names, values, **options)
        take_snapshot(instance, dict(zip(field_names, values, strict=False)))
        return instance

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Any] | None = None,
    ) -> None:
        names = None if fields is None else list(fields)
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        columns = [
            field.attname
            for field in self._meta.concrete_fields
            if field.attname in vars(self) and (names is None or {field.name, field.attname} & set(names))
        ]
        known = snapshot_of(self) or take_snapshot(self, {})
        known.learn({name: vars(self)[name] for name in [*columns, self._meta.pk.attname]})

    def _own_row(self, using: str) -> models.QuerySet[Any]:
        if self.pk is None:
            raise ValueError(f"{self._meta.object_name} was never saved.")
        return type(self)._base_manager.using(using).filter(pk=self.pk)

    def _stamp_and_choose(self, names: frozenset[str] | None, *, is_insert: bool) -> frozenset[str] | None:
        """Return what to write; `None` for everything."""
        now, user = clock.now(), acting_user()
        if is_insert:
            self.stamp_creation(now, user)
            return names
        self.last_modified_date, self.system_modstamp = now, now
        self.last_modified_by_id = user.pk if user is not None else None
        known = snapshot_of(self)
        if known is None or self.pk is None or known.get(self._meta.pk.attname) != self.pk:
            return names if names is None else names | _STAMPS
        columns = [
            field
            for field in self._meta.concrete_fields
            if not field.primary_key
            and not isinstance(field, GeneratedField)
            and (names is None or {field.name, field.attname} & names)
        ]
        changed = known.changed(self, orm.column_names(type(self)))
        return _STAMPS | {
            # Fields that compute a value of their own just before the save are always written.
            field.name
            for field in columns
            if field.attname in changed or orm.computes_on_save(field)
        }


@receiver(class_prepared, dispatch_uid="isthmus.objects")
def _watch_records(sender: type[models.Model], **_: Any) -> None:
    # Every record, exposed or not: what a save writes depends on what the record knows of its last one.
    if issubclass(sender, Record):
        orm.watch(sender)


_STAMPS = frozenset({"last_modified_date", "last_modified_by", "system_modstamp"})
_BIN_FIELDS = ["is_deleted", "deletion", "last_modified_date", "last_modified_by", "system_modstamp"]


class ClearedReference(models.Model):
    """A reference that became null because its target went to the recycle bin; undelete gives it back."""

    deletion = models.UUIDField()
    record_label = models.CharField(max_length=200)
    record_pk = models.BigIntegerField()
    field_name = models.CharField(max_length=100)
    target_label = models.CharField(max_length=200)
    target_pk = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["deletion"], name="cleared_reference_deletion"),
            models.Index(fields=["target_label", "target_pk"], name="cleared_reference_target"),
        ]

    def __str__(self) -> str:
        return f"{self.record_label} {self.record_pk}.{self.field_name} → {self.target_label} {self.target_pk}"


class ObjectSharing(models.Model):
    """How the records of an object are shared, where an administrator decides otherwise than the code."""

    object_name = models.CharField("object", max_length=80, unique=True)
    default = models.CharField("for others", max_length=20, choices=SharingDefault.choices)

    class Meta:
        verbose_name = "record sharing"
        verbose_name_plural = "record sharing"
        ordering = ["object_name"]

    def __str__(self) -> str:
        return f"{self.object_name}: {self.get_default_display()}"


class SharingRule(models.Model):
    """Records whose owners are in one group are open to the members of another."""

    object_name = models.CharField("object", max_length=80, db_index=True)
    owned_by = models.ForeignKey(
        "auth.Group",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Records that members of this group own; empty: all records.",
    )
    shared_with = models.ForeignKey("auth.Group", on_delete=models.CASCADE, related_name="+")
    may_edit = models.BooleanField("may change them", default=False)

    class Meta:
        ordering = ["object_name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["object_name", "owned_by", "shared_with"], name="sharing_rule_once"),
            models.UniqueConstraint(
                fields=["object_name", "shared_with"],
                condition=models.Q(owned_by=None),
                name="sharing_rule_of_everybody_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.object_name}: {self.owned_by or 'everyone'} → {self.shared_with}"


class RawOperation(models.TextChoices):
    """What happened to a row, as the database saw it."""

    INSERT = "I", "Insert"
    UPDATE = "U", "Update"
    DELETE = "D", "Delete"
    TRUNCATE = "T", "All rows, unseen one by one"
    SNAPSHOT = "S", "None: told as it is"


class RawChange(models.Model):
    """A change as a trigger noted it, in its transaction. Only the database writes here; the relay reads."""

    transaction_key = models.UUIDField(help_text="The same for everything that one transaction changed.")
    object_name = models.CharField(max_length=80)
    operation = models.CharField(max_length=1, choices=RawOperation.choices)
    record_pk = models.BigIntegerField(null=True)
    old_values = models.JSONField(null=True, help_text="By column, as the database writes them in JSON.")
    new_values = models.JSONField(null=True)
    context = models.TextField(blank=True, help_text="Who, from where, under which correlation.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["transaction_key", "id"], name="raw_change_transaction")]

    def __str__(self) -> str:
        return f"{self.get_operation_display()} {self.object_name} {self.record_pk}"


class ChangeTracking(models.Model):
    """Whether the changes of an object are captured, where an administrator decides otherwise than the code."""

    object_name = models.CharField(max_length=80, unique=True)
    is_on = models.BooleanField("captures changes")

    class Meta:
        verbose_name_plural = "change tracking"

    def __str__(self) -> str:
        return f"{self.object_name}: {'on' if self.is_on else 'off'}"


class Organization(models.Model):
    """Who this instance is, as clients ask with SOQL; one row, which the settings fill (`organization`)."""

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=80)
    instance_name = models.CharField(max_length=40)
    organization_type = models.CharField(max_length=40, default="Developer Edition")
    namespace_prefix = models.CharField(max_length=15, blank=True)
    is_sandbox = models.BooleanField("is a sandbox", default=False)
    trial_expiration_date = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="organization_only_one")]

    def __str__(self) -> str:
        return self.name
