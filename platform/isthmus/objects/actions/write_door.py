"""The write door: permission, conversion, validation, writing and capture, for one row or a thousand."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import models, router, transaction

from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue
from isthmus.objects.capture import acting_as
from isthmus.objects.errors import NoExternalId
from isthmus.objects.object_types import LoneRowWriter, ObjectType
from isthmus.objects.permissions import require_operation
from isthmus.objects.results import Operation, SaveError, SaveResult

__all__ = ["save", "upsert_by_reference"]

_DONE_TO = {
    Operation.CREATE: "inserted",
    Operation.UPDATE: "updated",
    Operation.UPSERT: "upserted",
    Operation.DELETE: "deleted",
    Operation.UNDELETE: "undeleted",
}


def save(
    user: AnyUser,
    sobject: str | type[models.Model] | ObjectType,
    operation: Operation,
    rows: Sequence[Mapping[str, Any]],
    *,
    external_id_field: str | None = None,
    all_or_none: bool = False,
) -> list[SaveResult]:
    """Write `rows`, mappings of API field names to JSON values, as `user`; return one result a row, in order.

    UPDATE, DELETE and UNDELETE rows name their record as `Id`. UPSERT rows carry the field `external_id_field` (which
    may be `Id`; `None`: the object's only external id). A row that fails leaves nothing behind and spoils no other,
    unless `all_or_none`: then nothing of any row stays. The number of statements does not depend on that of rows.
    Rows are written in bulk: a model's `clean()` runs for each, its `save()` does not.

    Raises `UnknownObject`, `NoExternalId`, and `PermissionRefused` when the user may not do this to any such record;
    everything that is wrong with single rows is in the results, under Salesforce's codes.
    """
    object_type = sobject if isinstance(sobject, ObjectType) else catalogue.get_object(sobject)
    if not object_type.allows(operation):
        message = f"entity type cannot be {_DONE_TO[operation]}: {object_type}"
        return [SaveResult.failed([SaveError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message)]) for _ in rows]
    if object_type.model is not None:
        require_operation(user, object_type, operation)
    using = router.db_for_write(object_type.model) if object_type.model is not None else "default"
    connection = transaction.get_connection(using)
    is_inside = connection.in_atomic_block
    is_free = not is_inside and connection.get_autocommit()
    if is_free and len(rows) == 1 and isinstance(object_type.writer, LoneRowWriter):
        with acting_as(user):
            alone = object_type.writer.write_alone(user, operation, rows[0], external_id_field=external_id_field)
        if alone is not None:
            return [alone]
    # A caller's transaction needs no savepoint around rows that each have their own, unless all may have to go.
    around = nullcontext() if is_inside and not all_or_none else transaction.atomic(using=using)
    with acting_as(user), around:
        results = object_type.writer.write(
            user, operation, rows, external_id_field=external_id_field, all_or_none=all_or_none
        )
        undo = all_or_none and not all(result.success for result in results)
        if undo:
            transaction.set_rollback(True, using=using)
    return [result.rolled_back() for result in results] if undo else results


def upsert_by_reference(
    user: AnyUser,
    sobject: str | type[models.Model] | ObjectType,
    external_reference: str,
    values: Mapping[str, Any],
) -> SaveResult:
    """Create or update the one record that an outside system knows as `external_reference`.

    However many callers come at once, one of them creates and the others update. The reference is matched without
    regard to case, as the field is. Raises what `save` raises; what is wrong with `values` is in the result.
    """
    object_type = sobject if isinstance(sobject, ObjectType) else catalogue.get_object(sobject)
    external_ids = object_type.external_ids
    if len(external_ids) != 1:
        raise NoExternalId(f"{object_type} has {len(external_ids)} external ids; name the one that is meant.")
    name = external_ids[0].api_name
    row = {**{key: value for key, value in values.items() if key.lower() != name.lower()}, name: external_reference}
    return save(user, object_type, Operation.UPSERT, [row], external_id_field=name)[0]
