"""The record API's way to the write door, and its answers in the API's words."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractUser

from isthmus.objects.actions import save
from isthmus.objects.object_types import ObjectType
from isthmus.objects.results import Operation, SaveError, SaveResult
from records.errors import RowsRefused, SeveralRecords

__all__ = ["Operation", "error_bodies", "result_body", "save_one"]

_GONE = {"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID"}


def save_one(
    user: AbstractUser,
    object_type: ObjectType,
    operation: Operation,
    row: Mapping[str, Any],
    *,
    external_id_field: str | None = None,
) -> SaveResult:
    """Write one row and return its result. Raises `RowsRefused` or `SeveralRecords`, and what the door raises."""
    result = save(user, object_type, operation, [row], external_id_field=external_id_field)[0]
    if result.success:
        return result
    if result.candidates:
        raise SeveralRecords(object_type.api_name, result.candidates)
    raise RowsRefused(result.errors, status=_status(operation, result))


def result_body(result: SaveResult) -> dict[str, Any]:
    """Return what the API answers for a row that was written."""
    return {"id": result.id, "success": result.success, "errors": error_bodies(result.errors)}


def error_bodies(errors: Iterable[SaveError]) -> list[dict[str, Any]]:
    """Return a row's errors as results list them. (A published event has one that tells its identity.)"""
    return [{"statusCode": error.code, "message": error.message, "fields": list(error.fields)} for error in errors]


def _status(operation: Operation, result: SaveResult) -> int:
    codes = {error.code for error in result.errors}
    if any(code.startswith("INSUFFICIENT_ACCESS") for code in codes):
        return 403
    # What is missing is the record of the address, and not one that a field names.
    is_record = operation is not Operation.CREATE and all(set(error.fields) <= {"Id"} for error in result.errors)
    return 404 if codes <= _GONE and is_record else 400
