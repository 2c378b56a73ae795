"""What rows need to know from the database: one statement a question, however many rows ask it."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connections, models
from django.db.models.functions import Lower

from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue, sharing
from isthmus.objects.actions.drafts import Draft, Lookup
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.permissions import may_refer_to
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, encode

__all__ = [
    "check_references",
    "check_sharing",
    "check_unique",
    "fold",
    "hold_values",
    "matching",
    "refuse_reference",
    "resolve_lookups",
    "seen_of",
]


def fold(field: FieldType, value: Any) -> Any:
    """Return what two values of the field have in common when they count as the same."""
    return value.lower() if isinstance(value, str) and not field.case_sensitive else value


def matching(
    object_type: ObjectType,
    field: FieldType,
    values: Iterable[Any],
    using: str,
    *,
    lock: bool = False,
    columns: Collection[str] | None = None,
) -> dict[Any, list[models.Model]]:
    """Return the live records that have one of `values` in `field`, by folded value.

    `columns`: attribute names of what is loaded at once (the rest when it is asked for); `None` for everything.
    """
    model = object_type.model
    wanted = list(values)
    if model is None or not wanted:
        return {}
    rows = _live(model, using)
    if field.type.is_text and not field.case_sensitive:
        lowered = [Lower(models.Value(value)) if _may_differ(value) else value.lower() for value in wanted]
        found = rows.alias(_folded=Lower(field.attname)).filter(_folded__in=lowered)
    else:
        found = rows.filter(**{f"{field.attname}__in": wanted})
    if columns is not None:
        found = found.only(*columns)
    found = found.order_by("pk").select_for_update() if lock else found.order_by("pk")
    by_value: dict[Any, list[models.Model]] = {}
    for instance in found:
        by_value.setdefault(fold(field, getattr(instance, field.attname)), []).append(instance)
    return by_value


def _may_differ(value: str) -> bool:
    """Return whether the database may know another lower case than Python does (a Turkish one does of `I`)."""
    return not value.isascii() or "I" in value


def hold_values(object_type: ObjectType, field: FieldType, values: Iterable[Any], using: str) -> None:
    """Let no other upsert decide about these values until the transaction ends.

    A row that does not exist yet cannot be locked. PostgreSQL locks names instead (advisory locks, taken in one
    order); SQLite has one writer at a time.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    names = {f"{object_type.api_name}.{field.api_name}:{fold(field, value)}" for value in values}
    keys = sorted(
        int.from_bytes(hashlib.sha256(name.encode(errors="replace")).digest()[:8], signed=True) for name in names
    )
    if keys:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", [keys])


def resolve_lookups(user: AnyUser, drafts: Sequence[Draft], using: str) -> None:
    """Turn references by external id into primary keys."""
    asked: dict[tuple[str, str], list[tuple[Draft, Lookup]]] = {}
    for draft in drafts:
        for lookup in draft.lookups:
            key = (lookup.reference.reference_to[0], lookup.external_id.api_name)
            asked.setdefault(key, []).append((draft, lookup))
    for (target_name, name), asking in asked.items():
        external_id = asking[0][1].external_id
        target = catalogue.get_object(target_name)
        wanted = {lookup.value for _, lookup in asking if lookup.value is not None}
        found = _shared(user, target, matching(target, external_id, wanted, using), using)
        for draft, lookup in asking:
            targets = found.get(fold(external_id, lookup.value), [])
            if len(targets) == 1:
                draft.values[lookup.reference.attname] = targets[0].pk
            else:
                problem = "more than one record found" if targets else "not found"
                message = f"Foreign key external ID: {lookup.value} {problem} for field {name} in entity {target_name}"
                draft.fail("INVALID_FIELD", message, lookup.reference.api_name)


def _shared(
    user: AnyUser, target: ObjectType, found: dict[Any, list[models.Model]], using: str
) -> dict[Any, list[models.Model]]:
    """Return what of the records found is shared with the user."""
    model = target.model
    if model is None or not found or sharing.sees_everything(user, target):
        return found
    seen = seen_of(user, target, [record.pk for records in found.values() for record in records], using)
    return {value: [record for record in records if record.pk in seen] for value, records in found.items()}


def seen_of(user: AnyUser, object_type: ObjectType, pks: Sequence[int], using: str) -> set[int]:
    """Return those of the primary keys whose records are shared with the user."""
    if object_type.model is None or not pks:
        return set()
    rows: models.QuerySet[Any] = object_type.model._base_manager.using(using).filter(pk__in=pks)
    return set(sharing.visible(user, object_type, rows).values_list("pk", flat=True))


def check_references(user: AnyUser, object_type: ObjectType, drafts: Sequence[Draft], using: str) -> None:
    """Note references to records that are not there, are deleted, or are none of the user's business."""
    writable = [field for field in object_type.fields if field.updateable and field.reference_to]
    for target_name in {name for field in writable for name in field.reference_to}:
        uses = [
            (draft, field, draft.values[field.attname])
            for draft in drafts
            for field in writable
            if target_name in field.reference_to and draft.values.get(field.attname) is not None
        ]
        target = catalogue.get_object(target_name)
        if not uses or target.model is None:
            continue
        readable = may_refer_to(user, target)
        gone = _whether_deleted(user, target, {pk for _, _, pk in uses}, using)
        for draft, field, pk in uses:
            if not readable:
                refuse_reference(draft, field)
            elif pk not in gone:
                draft.fail("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", field.api_name)
            elif gone[pk]:
                draft.fail("ENTITY_IS_DELETED", "entity is deleted", field.api_name)


def refuse_reference(draft: Draft, field: FieldType) -> None:
    """Note that the user may not refer to what the field names."""
    message = "insufficient access rights on cross-reference id"
    draft.fail("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", message, field.api_name)


def _whether_deleted(user: AnyUser, target: ObjectType, pks: Iterable[int], using: str) -> dict[int, bool]:
    """Return, for those that exist and are shared with the user, whether they are in the recycle bin."""
    model = target.model
    if model is None:
        return {}
    rows = model._base_manager.using(using).filter(pk__in=[pk for pk in pks if pk <= MAX_PRIMARY_KEY])
    rows = sharing.visible(user, target, rows)
    if not getattr(model, "soft_deletes", False):
        return dict.fromkeys(rows.values_list("pk", flat=True), False)
    return dict(rows.values_list("pk", "is_deleted"))


def check_sharing(user: AnyUser, object_type: ObjectType, drafts: Sequence[Draft], using: str) -> None:
    """Note records that are not shared with the user: unseen ones as if they were not there."""
    model = object_type.model
    if model is None or not drafts or sharing.sees_everything(user, object_type, "edit"):
        return
    rows = model._base_manager.using(using).filter(pk__in=[draft.pk for draft in drafts])
    editable = set(sharing.visible(user, object_type, rows, "edit").values_list("pk", flat=True))
    refused = [draft for draft in drafts if draft.pk not in editable]
    seen = seen_of(user, object_type, [draft.pk for draft in refused if draft.pk is not None], using)
    for draft in refused:
        if draft.pk in seen:
            draft.fail("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        else:
            draft.record_id = None
            draft.fail("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")


def check_unique(user: AnyUser, object_type: ObjectType, drafts: Sequence[Draft], using: str) -> None:
    """Note values that another live record, or an earlier row, already has in a unique field.

    Which record it is, is told to those who see it.
    """
    for field in object_type.fields:
        if not field.unique or not field.updateable:
            continue
        asking = [draft for draft in drafts if draft.sound and draft.values.get(field.attname) not in (None, "")]
        taken = matching(object_type, field, {draft.values[field.attname] for draft in asking}, using)
        earlier: set[Any] = set()
        for draft in asking:
            value = fold(field, draft.values[field.attname])
            others = [other.pk for other in taken.get(value, []) if other.pk != draft.pk]
            if others:
                seen = seen_of(user, object_type, others, using)
                holder = encode(object_type.key_prefix, min(seen)) if seen else "<unknown>"
                message = f"duplicate value found: {field.api_name} duplicates value on record with id: {holder}"
                draft.fail("DUPLICATE_VALUE", message, field.api_name)
            elif value in earlier:
                message = f"duplicate value found: {field.api_name} duplicates value of another row in this request"
                draft.fail("DUPLICATE_VALUE", message, field.api_name)
            earlier.add(value)


def _live(model: type[models.Model], using: str) -> models.QuerySet[Any]:
    rows = model._base_manager.using(using)
    return rows.filter(is_deleted=False) if getattr(model, "soft_deletes", False) else rows.all()
