"""Up to 200 records in one request: created, updated, upserted, deleted or read, each with a result of its own.

A request is one transaction, and each run of records of one object in it one call of the write door. What is wrong
with a record, a refusal of its whole object included, is in its result; the request itself succeeds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from isthmus.errors import IsthmusError
from isthmus.objects import catalogue
from isthmus.objects.actions import save
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import FieldKind
from isthmus.objects.record_ids import decode
from isthmus.objects.results import Operation, SaveError, SaveResult
from records import reading, writing
from records.composite import shapes
from records.errors import BodyRefused, ChunkLimitExceeded, RecordLimitExceeded

__all__ = [
    "MAX_CHUNKS",
    "MAX_IDS",
    "MAX_IDS_IN_ADDRESS",
    "MAX_RECORDS",
    "create",
    "delete",
    "is_all_written",
    "read",
    "update",
    "upsert",
]

MAX_RECORDS = 200
"""Records that one request writes."""
MAX_CHUNKS = 10
"""Runs of records of one object in a request that mixes objects."""
MAX_IDS = 2_000
"""Records that one request reads, when its body names them."""
MAX_IDS_IN_ADDRESS = 800
"""Records that one request reads, when its address names them."""

_NOT_THERE = SaveError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")


@dataclass(frozen=True)
class _Row:
    """One record on its way to the write door."""

    object_name: str
    """What the caller calls its object; "" where nothing tells."""
    values: Mapping[str, Any]
    error: SaveError | None = None
    """Why it does not even get there."""


def create(user: AbstractUser, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Create the records in the body; return a result each, in order. Raises what is wrong with the request itself."""
    return [_told(result) for result in _written(user, Operation.CREATE, body)]


def update(user: AbstractUser, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Change the records in the body, each named by its `Id`. Otherwise as `create`."""
    return [_told(result) for result in _written(user, Operation.UPDATE, body)]


def upsert(user: AbstractUser, object_name: str, field_name: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Create or change records of one object by what `field_name` holds. Otherwise as `create`."""
    object_type = reading.object_of(object_name, user)
    field = object_type.find_field(field_name)
    if field is None or field.type is not FieldKind.ID:
        field = reading.external_id_field(object_type, field_name, user)
    rows = []
    for name, record in _records(body):
        given = shapes.as_object(record.get("attributes", {}), f"{name}.attributes").get("type")
        if given is not None and (not isinstance(given, str) or given.lower() != object_type.api_name.lower()):
            raise BodyRefused(f"{name} must be a record of {object_type}, which the address names.")
        rows.append(_Row(object_type.api_name, _values(record)))
    results = _save(user, Operation.UPSERT, rows, all_or_none=_all_or_none(body), external_id_field=field.api_name)
    return [{**_told(result), "created": result.created} for result in results]


def delete(user: AbstractUser, record_ids: Sequence[str], *, all_or_none: bool) -> list[dict[str, Any]]:
    """Move records to the recycle bin. Otherwise as `create`."""
    if len(record_ids) > MAX_RECORDS:
        raise RecordLimitExceeded(MAX_RECORDS)
    rows = [_to_delete(user, record_id) for record_id in record_ids]
    return [_told(result) for result in _save(user, Operation.DELETE, rows, all_or_none=all_or_none)]


def read(
    user: AbstractUser, object_name: str, record_ids: Sequence[str], fields: Sequence[str], version: str
) -> list[dict[str, Any] | None]:
    """Return these fields of the records, in order; `None` for each that is not there or that the user does not see.

    Raises `NoSuchResource`, `FieldUnknown`, `MalformedId`.
    """
    object_type = reading.object_of(object_name, user)
    asked = reading.fields_asked(object_type, ",".join(fields), user)
    found = reading.find_each(object_type, record_ids, user)
    return [None if stored is None else reading.as_json(stored, asked, version) for stored in found]


def is_all_written(results: Iterable[Any]) -> bool:
    """Return whether no result tells of a record that was not written."""
    return not any(isinstance(result, Mapping) and result.get("success") is False for result in results)


def _written(user: AbstractUser, operation: Operation, body: Mapping[str, Any]) -> list[SaveResult]:
    rows = [_Row(shapes.record_type(record, name), _values(record)) for name, record in _records(body)]
    return _save(user, operation, rows, all_or_none=_all_or_none(body))


def _records(body: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return each record with the name that errors give it."""
    given = shapes.as_list(body.get("records"), "records")
    if len(given) > MAX_RECORDS:
        raise RecordLimitExceeded(MAX_RECORDS)
    names = [f"records[{place}]" for place in range(len(given))]
    return [(name, shapes.as_object(record, name)) for name, record in zip(names, given, strict=True)]


def _values(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "attributes"}


def _all_or_none(body: Mapping[str, Any]) -> bool:
    return shapes.as_flag(body.get("allOrNone"), "allOrNone")


def _to_delete(user: AbstractUser, record_id: str) -> _Row:
    values = {"Id": record_id}
    try:
        prefix, _ = decode(record_id)
    except MalformedId as error:
        return _Row("", values, SaveError(error.code, error.message, ("Id",)))
    object_type = catalogue.object_of_prefix(prefix)
    # Objects that the user may not see are not there, as are those that nobody has.
    if object_type is None or object_type not in reading.objects_seen(user):
        return _Row("", values, _NOT_THERE)
    return _Row(object_type.api_name, values)


def _save(
    user: AbstractUser,
    operation: Operation,
    rows: Sequence[_Row],
    *,
    all_or_none: bool,
    external_id_field: str | None = None,
) -> list[SaveResult]:
    chunks = [list(chunk) for _, chunk in groupby(rows, key=lambda row: row.object_name.lower())]
    if len(chunks) > MAX_CHUNKS:
        raise ChunkLimitExceeded(MAX_CHUNKS)
    with transaction.atomic():
        results = [
            result for chunk in chunks for result in _save_chunk(user, operation, chunk, all_or_none, external_id_field)
        ]
        undo = all_or_none and not all(result.success for result in results)
        if undo:
            transaction.set_rollback(True)
    return [result.rolled_back() for result in results] if undo else results


def _save_chunk(
    user: AbstractUser, operation: Operation, rows: Sequence[_Row], all_or_none: bool, external_id_field: str | None
) -> list[SaveResult]:
    """Write rows of one object."""
    if rows[0].error is not None:
        return [SaveResult.failed([row.error or _NOT_THERE]) for row in rows]
    try:
        return save(
            user,
            reading.object_of(rows[0].object_name, user),
            operation,
            [row.values for row in rows],
            external_id_field=external_id_field,
            all_or_none=all_or_none,
        )
    except IsthmusError as error:
        if error.status >= 500:
            raise
        return [SaveResult.failed([SaveError(error.code, error.message, error.fields)]) for _ in rows]


def _told(result: SaveResult) -> dict[str, Any]:
    """Return the result as it is listed; an id is in it only where there is a record."""
    body = writing.result_body(result)
    return body if result.id is not None else {name: value for name, value in body.items() if name != "id"}
