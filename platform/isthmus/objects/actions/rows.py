"""Writes rows of exposed models: reads them, looks up what they refer to, writes the sound ones in bulk."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import DataError, IntegrityError, connections, models, router, transaction
from django.db.models.deletion import ProtectedError, RestrictedError
from django.db.models.functions import Cast

from isthmus import clock
from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue, deletion, sharing
from isthmus.objects.actions import many_rows, one_statement, row_lookups
from isthmus.objects.actions.drafts import Draft
from isthmus.objects.actions.row_reading import RowReader
from isthmus.objects.capture import ChangeType, acting_user, orm
from isthmus.objects.capture.signals import send_after_commit
from isthmus.objects.errors import MalformedId, NoExternalId, UndeleteRefused
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import can_read_field, may
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, decode, encode
from isthmus.objects.results import Operation, SaveResult

__all__ = ["ModelRowWriter"]

_UPSERT_ATTEMPTS = 3
_REFUSALS = (IntegrityError, DataError, ProtectedError, RestrictedError, UndeleteRefused)


class ModelRowWriter:
    """The writer of every sObject that a model stands behind."""

    def __init__(self, model: type[models.Model]) -> None:
        self._model = model
        self._is_record = bool(getattr(model, "soft_deletes", False))

    def write(
        self,
        user: AnyUser,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
        *,
        external_id_field: str | None,
        all_or_none: bool,
    ) -> list[SaveResult]:
        """Return one result a row, in order. Raises `NoExternalId` for an upsert by a field that is none."""
        work = _Work(self._model, user, self._is_record)
        drafts = [Draft(given=row) for row in rows]
        if operation is Operation.CREATE:
            work.create(drafts)
        elif operation is Operation.UPDATE:
            work.update(drafts)
        elif operation is Operation.UPSERT:
            work.upsert(drafts, external_id_field)
        elif operation is Operation.DELETE:
            work.delete(drafts)
        else:
            work.undelete(drafts)
        return [draft.result() for draft in drafts]

    def write_alone(
        self, user: AnyUser, operation: Operation, row: Mapping[str, Any], *, external_id_field: str | None
    ) -> SaveResult | None:
        """Return the result of a row that one statement wrote; `None`, and nothing was done, where it takes more.

        Raises `NoExternalId` as `write` does.
        """
        # What SQLite did, it tells only within a transaction.
        using = router.db_for_write(self._model)
        if operation not in {Operation.CREATE, Operation.UPSERT} or connections[using].vendor != "postgresql":
            return None
        work = _Work(self._model, user, self._is_record)
        draft = Draft(given=row)
        is_create = operation is Operation.CREATE
        is_done = work.create_alone(draft) if is_create else work.upsert_alone(draft, external_id_field)
        return draft.result() if is_done else None


class _Work:
    """One call of the write door."""

    def __init__(self, model: type[models.Model], user: AnyUser, is_record: bool) -> None:
        self._model = model
        self._user = user
        self._is_record = is_record
        self._object_type: ObjectType = catalogue.get_object(model)
        self._using = router.db_for_write(model)
        self._reader = RowReader(user, self._object_type, model)

    # --- the five operations ------------------------------------------------------------------------------------------
    def create(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            draft.is_new = True
            self._reader.read(draft)
        self._complete(drafts)
        self._attempt(drafts, self._insert)

    def create_alone(self, draft: Draft) -> bool:
        """Return whether one statement made the record."""
        draft.is_new = True
        self._reader.read(draft)
        if not draft.sound or not one_statement.is_insert_possible(self._object_type, draft.values, self._using):
            return False
        self._complete([draft], leave_unique=True)
        if not draft.sound:
            return False
        try:
            return one_statement.insert(self._object_type, draft, self._using)
        except _REFUSALS:
            # The longer way finds out what is wrong.
            return False

    def upsert_alone(self, draft: Draft, external_id_field: str | None) -> bool:
        """Return whether one statement made or changed the record."""
        field = self._external_id(external_id_field)
        if field.type is FieldKind.ID:
            return False
        self._external_values([draft], field)
        return draft.sound and self._upserted_in_one_statement(draft, field)

    def update(self, drafts: Sequence[Draft]) -> None:
        self._load(drafts, "update")
        sound = _sound(drafts)
        for draft in sound:
            self._reader.read(draft)
        self._complete(sound)
        self._attempt(sound, self._write_changes)

    def upsert(self, drafts: Sequence[Draft], external_id_field: str | None) -> None:
        field = self._external_id(external_id_field)
        if field.type is FieldKind.ID:
            self._upsert_by_id(drafts)
            return
        values = self._external_values(drafts, field)
        waiting = [draft for draft in drafts if draft.sound]
        if len(waiting) == 1 and self._upserted_in_one_statement(waiting[0], field):
            return
        for _ in range(_UPSERT_ATTEMPTS):
            self._upsert_once(waiting, field, values)
            # Somebody who does not come through this door may have created the record in the meantime.
            waiting = [draft for draft in waiting if draft.is_new and _is_taken(draft, field)]
            if not waiting:
                return

    def delete(self, drafts: Sequence[Draft]) -> None:
        self._load(drafts, "delete")
        self._attempt(drafts, self._delete)

    def undelete(self, drafts: Sequence[Draft]) -> None:
        self._load(drafts, "undelete", deleted=True)
        self._attempt(drafts, self._undelete)

    # --- finding the records ------------------------------------------------------------------------------------------
    def _load(self, drafts: Sequence[Draft], call: str, *, deleted: bool = False) -> None:
        """Find, and hold, the records that the rows name by `Id`."""
        seen: set[int] = set()
        for draft in drafts:
            self._read_id(draft, call)
            if draft.pk is not None and draft.pk in seen:
                draft.fail("DUPLICATE_VALUE", f"duplicate id specified: {draft.record_id}", "Id")
            if draft.pk is not None:
                seen.add(draft.pk)
        possible = [pk for pk in seen if pk <= MAX_PRIMARY_KEY]
        rows = self._base().filter(pk__in=possible).order_by("pk").select_for_update()
        found = {instance.pk: instance for instance in rows} if seen else {}
        for draft in _sound(drafts):
            draft.instance = found.get(draft.pk)
            if draft.instance is None:
                draft.record_id = None
                draft.fail("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        row_lookups.check_sharing(self._user, self._object_type, _sound(drafts), self._using)
        for draft in _sound(drafts):
            is_deleted = getattr(draft.instance, "is_deleted", False)
            if is_deleted and not deleted:
                draft.fail("ENTITY_IS_DELETED", "entity is deleted")
            elif deleted and not is_deleted:
                draft.fail("UNDELETE_FAILED", "entity is not in the recycle bin")

    def _read_id(self, draft: Draft, call: str) -> None:
        given = next((value for name, value in draft.given.items() if name.lower() == "id"), None)
        if given in (None, ""):
            draft.fail("MISSING_ARGUMENT", f"Id not specified in an {call} call", "Id")
            return
        try:
            prefix, draft.pk = decode(given if isinstance(given, str) else str(given))
        except MalformedId as error:
            draft.fail(error.code, error.message, "Id")
            return
        draft.record_id = encode(prefix, draft.pk)
        if prefix != self._object_type.key_prefix:
            draft.pk = None
            draft.fail("MALFORMED_ID", f"{self._object_type} ID: id value of incorrect type: {given}", "Id")

    def _external_id(self, name: str | None) -> FieldType:
        if name is None:
            candidates = self._object_type.external_ids
            if len(candidates) != 1:
                raise NoExternalId(
                    f"{self._object_type} has {len(candidates)} external ids; name the one that is meant."
                )
            return candidates[0]
        field = self._object_type.find_field(name)
        if (
            field is None
            or not (field.external_id or field.type is FieldKind.ID)
            or not can_read_field(self._user, self._object_type, field)
        ):
            raise NoExternalId(f"Provided external ID field does not exist or is not accessible: {name}")
        return field

    def _external_values(self, drafts: Sequence[Draft], field: FieldType) -> dict[int, Any]:
        """Return the external id of each sound row, by the row's identity."""
        values: dict[int, Any] = {}
        seen: set[Any] = set()
        for draft in drafts:
            value = self._reader.read_value(draft, field)
            if not draft.sound:
                continue
            if value is None:
                draft.fail("MISSING_ARGUMENT", f"{field.api_name} not specified", field.api_name)
            elif row_lookups.fold(field, value) in seen:
                draft.fail("DUPLICATE_VALUE", f"duplicate external id specified: {value}", field.api_name)
            else:
                seen.add(row_lookups.fold(field, value))
                values[id(draft)] = value
        return values

    # --- upsert -------------------------------------------------------------------------------------------------------
    def _upsert_by_id(self, drafts: Sequence[Draft]) -> None:
        known = [
            draft for draft in drafts if any(name.lower() == "id" and value for name, value in draft.given.items())
        ]
        new = [draft for draft in drafts if draft not in known]
        for draft in new:
            draft.given = {name: value for name, value in draft.given.items() if name.lower() != "id"}
        self.update(known)
        self.create(new)

    def _upserted_in_one_statement(self, draft: Draft, field: FieldType) -> bool:
        """Return whether the row could be written like this; if not, the draft is as it was."""
        object_type = self._object_type
        if not one_statement.is_possible(object_type, field, self._using):
            return False
        if not sharing.sees_everything(self._user, object_type, "edit"):
            return False
        draft.is_new = True
        self._reader.read(draft)
        self._reader.require_given(draft)
        if one_statement.would_do(object_type, draft, field):
            draft.instance = self._model(**draft.values)
            self._reader.validate(draft)
            if draft.sound:
                try:
                    # Outside a transaction, a statement that is refused leaves nothing to undo.
                    is_inside = connections[self._using].in_atomic_block
                    with transaction.atomic(using=self._using) if is_inside else nullcontext():
                        one_statement.upsert(object_type, draft, field, self._using)
                except _REFUSALS:
                    # The longer way finds out what is wrong.
                    draft.forget_attempt()
                else:
                    return True
        draft.errors, draft.lookups, draft.values, draft.instance = [], [], {}, None
        return False

    def _upsert_once(self, drafts: Sequence[Draft], field: FieldType, values: Mapping[int, Any]) -> None:
        wanted = {values[id(draft)] for draft in drafts}
        row_lookups.hold_values(self._object_type, field, wanted, self._using)
        found = row_lookups.matching(
            self._object_type, field, wanted, self._using, lock=True, columns=self._columns_needed(drafts, field)
        )
        several = [match.pk for matches in found.values() if len(matches) > 1 for match in matches]
        seen = row_lookups.seen_of(self._user, self._object_type, several, self._using)
        for draft in drafts:
            value = values[id(draft)]
            matches = found.get(row_lookups.fold(field, value), [])
            # Of several, those that the user sees are meant; without any of them it is as with one that is not seen.
            matches = [match for match in matches if match.pk in seen] or matches[:1]
            draft.errors, draft.lookups, draft.values = [], [], {}
            draft.is_new = not matches
            draft.instance = matches[0] if matches else None
            draft.pk = matches[0].pk if matches else None
            draft.record_id = encode(self._object_type.key_prefix, matches[0].pk) if matches else None
            if len(matches) > 1:
                draft.candidates = tuple(encode(self._object_type.key_prefix, match.pk) for match in matches)
                ids = ", ".join(draft.candidates)
                message = f"{field.api_name}: more than one record found for external id field: [{ids}]"
                draft.record_id = None
                draft.fail("DUPLICATE_EXTERNAL_ID", message, field.api_name)
            else:
                self._reader.read(draft, skip=field.api_name if matches else "")
        known = [draft for draft in drafts if draft.pk is not None and draft.sound]
        row_lookups.check_sharing(self._user, self._object_type, known, self._using)
        self._complete(drafts)
        self._attempt([draft for draft in drafts if draft.is_new], self._insert)
        self._attempt([draft for draft in drafts if not draft.is_new], self._write_changes)

    def _columns_needed(self, drafts: Sequence[Draft], field: FieldType) -> set[str] | None:
        """Return what must be known of records that are there, by attribute name; `None` for everything.

        A row may leave out what others give, and is then written as it was.
        """
        if self._model.clean is not models.Model.clean:
            return None
        given = {name.lower() for draft in drafts for name in draft.given}
        chosen = {
            one.attname
            for one in self._object_type.fields
            if one.api_name.lower() in given or (one.relationship_name or "").lower() in given
        }
        computed = {column.attname for column in self._model._meta.concrete_fields if orm.computes_on_save(column)}
        return {field.attname, *chosen, *computed}

    # --- from values to records ---------------------------------------------------------------------------------------
    def _complete(self, drafts: Sequence[Draft], *, leave_unique: bool = False) -> None:
        """Do everything that comes between reading the rows and writing the sound ones.

        `leave_unique`: the database is to say what is taken.
        """
        row_lookups.resolve_lookups(self._user, drafts, self._using)
        row_lookups.check_references(self._user, self._object_type, drafts, self._using)
        for draft in drafts:
            self._reader.require_given(draft)
        for draft in _sound(drafts):
            if draft.instance is None:
                draft.instance = self._model(**draft.values)
            else:
                for attname, value in draft.values.items():
                    setattr(draft.instance, attname, value)
            self._reader.validate(draft)
        if not leave_unique:
            row_lookups.check_unique(self._user, self._object_type, drafts, self._using)

    def _attempt(self, drafts: Sequence[Draft], write: Callable[[Sequence[Draft]], None]) -> None:
        """Write the sound drafts together; if the database refuses, find out which of them it refuses."""
        sound = _sound(drafts)
        if not sound:
            return
        try:
            with transaction.atomic(using=self._using):
                write(sound)
        except _REFUSALS as error:
            for draft in sound:
                draft.forget_attempt()
            if len(sound) == 1:
                self._explain(sound[0], error)
                return
            half = len(sound) // 2
            self._attempt(sound[:half], write)
            self._attempt(sound[half:], write)

    def _explain(self, draft: Draft, error: Exception) -> None:
        if isinstance(error, ProtectedError | RestrictedError):
            blocking = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
            names = ", ".join(sorted({self._known_name(row) for row in blocking}))
            message = f"Your attempt to delete this record could not be completed because {names} refer to it."
            draft.fail("DELETE_FAILED", message)
            return
        if isinstance(error, UndeleteRefused):
            draft.fail(error.code, error.message)
            return
        if isinstance(error, IntegrityError):
            # An undelete brings values of its own.
            draft.values = draft.values or dict(vars(draft.instance))
            row_lookups.check_unique(self._user, self._object_type, [draft], self._using)
        if draft.sound:
            draft.fail("FIELD_INTEGRITY_EXCEPTION", "The database refuses this combination of values.")

    def _known_name(self, row: models.Model) -> str:
        """Return what records of this kind are called, if the user may know of them."""
        owner = catalogue.object_of_model(type(row))
        is_known = owner is not None and may(self._user, owner, "read")
        return str(row._meta.verbose_name_plural) if is_known else "other records"

    # --- statements ---------------------------------------------------------------------------------------------------
    def _insert(self, drafts: Sequence[Draft]) -> None:
        self._base().bulk_create(_instances(drafts))

    def _write_changes(self, drafts: Sequence[Draft]) -> None:
        instances = _instances(drafts)
        names = {name for draft in drafts for name in draft.values}
        if self._is_record:
            names |= self._stamp(instances)
        for field in self._model._meta.concrete_fields:
            if orm.computes_on_save(field):
                names.add(field.attname)
                for instance in instances:
                    field.pre_save(instance, False)
        chosen = sorted(names)
        size = max(1, (connections[self._using].features.max_query_params or 60_000) // (2 * len(chosen) + 2))
        for start in range(0, len(instances), size):
            self._update_statement(instances[start : start + size], chosen)

    def _stamp(self, instances: Sequence[models.Model]) -> set[str]:
        now, user = clock.now(), acting_user()
        stamps = {
            "last_modified_date": now,
            "last_modified_by_id": user.pk if user else None,
            "system_modstamp": now,
        }
        for instance in instances:
            for name, value in stamps.items():
                setattr(instance, name, value)
        return set(stamps)

    def _update_statement(self, instances: Sequence[models.Model], names: Sequence[str]) -> None:
        if many_rows.is_possible(self._model, tuple(names), self._using):
            many_rows.update(self._model, instances, names, self._using)
            if self._is_record:
                pks = [instance.pk for instance in instances]
                send_after_commit(self._model, sorted(pks), ChangeType.UPDATE, self._using, attnames=names)
            return
        columns = {field.attname: field for field in self._model._meta.concrete_fields}
        values = {name: self._assignment(columns[name], instances) for name in names}
        rows = self._base().filter(pk__in=[instance.pk for instance in instances])
        rows.update(**values)

    def _assignment(self, column: "models.Field[Any, Any]", instances: Sequence[models.Model]) -> Any:
        values = [getattr(instance, column.attname) for instance in instances]
        if all(value == values[0] for value in values[1:]):
            return models.Value(values[0], output_field=column)
        whens = (
            models.When(pk=instance.pk, then=models.Value(value, output_field=column))
            for instance, value in zip(instances, values, strict=True)
        )
        case = models.Case(*whens, output_field=column)
        needs_cast = connections[self._using].features.requires_casted_case_in_updates
        return Cast(case, output_field=column) if needs_cast else case

    def _delete(self, drafts: Sequence[Draft]) -> None:
        rows = self._base().filter(pk__in=[draft.pk for draft in drafts])
        if self._is_record:
            deletion.delete(self._model, rows.filter(is_deleted=False), self._using)
        else:
            rows.delete()

    def _undelete(self, drafts: Sequence[Draft]) -> None:
        rows = self._base().filter(pk__in=[draft.pk for draft in drafts], is_deleted=True)
        deletion.undelete(self._model, rows, self._using)

    def _base(self) -> models.QuerySet[Any]:
        return self._model._base_manager.using(self._using).all()


def _sound(drafts: Sequence[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.sound]


def _is_taken(draft: Draft, field: FieldType) -> bool:
    return any(error.code == "DUPLICATE_VALUE" and field.api_name in error.fields for error in draft.errors)


def _instances(drafts: Sequence[Draft]) -> list[models.Model]:
    return [draft.instance for draft in drafts if draft.instance is not None]
