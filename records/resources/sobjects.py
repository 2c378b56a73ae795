"""Single records: create, read, change and delete them, by their id or by what an outside system calls them.

Paths: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_retrieve.htm
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import router, transaction

from isthmus.objects.describe import summarize_object
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.record_ids import decode
from records import conditions, multipart, reading, recently, writing
from records.calls import Answer, Call
from records.errors import IdMisplaced, MethodRefused, NoSuchResource, SeveralRecords
from records.resources import recent
from records.routing import resource
from records.writing import Operation

__all__ = ["change", "delete_by_external_id", "given", "read_by_external_id", "remove", "upsert"]

_UPDATES_RECENT = re.compile(r"\bupdateMru\s*=\s*true\b", re.IGNORECASE)


def describe_shortly(call: Call, name: str) -> Answer:
    """Describe an object in short."""
    object_type = reading.object_of(name, call.user)
    summary = summarize_object(object_type, user=call.user, version=call.version)
    return Answer(body={"objectDescribe": summary, "recentItems": recent.listed(call, only=object_type)})


def create(call: Call, name: str) -> Answer:
    """Create a record."""
    object_type = reading.object_of(name, call.user)
    result = writing.save_one(call.user, object_type, Operation.CREATE, _fields(call))
    if object_type.model is not None and result.id is not None:
        _note(call, object_type, decode(result.id)[1])
    location = {"Location": f"{call.base}/sobjects/{object_type}/{result.id}"}
    return Answer(status=201, body=writing.result_body(result), headers=location)


def read(call: Call, name: str, record_id: str) -> Answer:
    """Give a record, or the fields of it that are asked for."""
    object_type = reading.object_of(name, call.user)
    fields = reading.fields_asked(object_type, call.query.get("fields"), call.user)
    return given(call, reading.find(object_type, record_id, call.user), fields)


def update(call: Call, name: str, record_id: str) -> Answer:
    """Change a record."""
    object_type = reading.object_of(name, call.user)
    return change(call, reading.find(object_type, record_id, call.user))


def post_to_record(call: Call, name: str, record_id: str) -> Answer:
    """Change a record, for callers that cannot send PATCH (`?_HTTP_METHOD=PATCH`); create one as `…/Id`."""
    if record_id.lower() == "id":
        return create(call, name)
    if call.query.get("_HTTP_METHOD", "").upper() != "PATCH":
        raise MethodRefused("POST", ["DELETE", "GET", "PATCH"])
    return update(call, name, record_id)


def delete(call: Call, name: str, record_id: str) -> Answer:
    """Move a record to the recycle bin."""
    return remove(call, reading.object_of(name, call.user), record_id)


def read_by_external_id(call: Call, name: str, field: str, value: str) -> Answer:
    """Give the record that an outside system knows by this value."""
    object_type = reading.object_of(name, call.user)
    fields = reading.fields_asked(object_type, call.query.get("fields"), call.user)
    return given(call, _only(call, object_type, field, value), fields)


def upsert(call: Call, name: str, field: str, value: str) -> Answer:
    """Create or update the record that an outside system knows by this value."""
    object_type = reading.object_of(name, call.user)
    if field.lower() == "id":
        return change(call, reading.find(object_type, value, call.user))
    key = reading.external_id_field(object_type, field, call.user)
    row = _fields(call)
    _refuse_in_body(row, key.api_name)
    is_there = call.flag("updateOnly") or conditions.is_conditional(call.headers)
    with _unchanged(call, _only(call, object_type, field, value)) if is_there else nullcontext():
        result = writing.save_one(
            call.user, object_type, Operation.UPSERT, {**row, key.api_name: value}, external_id_field=key.api_name
        )
    if object_type.model is not None and result.id is not None:
        _note(call, object_type, decode(result.id)[1])
    body = {**writing.result_body(result), "created": result.created}
    if not result.created:
        return Answer(body=body)
    location = {"Location": f"{call.base}/sobjects/{object_type}/{result.id}"}
    return Answer(status=201, body=body, headers=location)


def delete_by_external_id(call: Call, name: str, field: str, value: str) -> Answer:
    """Move the record that an outside system knows by this value to the recycle bin."""
    object_type = reading.object_of(name, call.user)
    return remove(call, object_type, _only(call, object_type, field, value).record_id)


def change(call: Call, stored: reading.Stored) -> Answer:
    """Change the record as the body says."""
    row = _fields(call)
    _refuse_in_body(row, "Id")
    with _unchanged(call, stored):
        writing.save_one(call.user, stored.object_type, Operation.UPDATE, {**row, "Id": stored.record_id})
    _note(call, stored.object_type, stored.pk)
    return Answer(status=204)


def remove(call: Call, object_type: ObjectType, record_id: str) -> Answer:
    """Move the record of that id to the recycle bin."""
    writing.save_one(call.user, object_type, Operation.DELETE, {"Id": record_id})
    return Answer(status=204)


def given(call: Call, stored: reading.Stored, fields: Sequence[FieldType]) -> Answer:
    """Give these fields of the record, unless the caller has this version of it already."""
    headers = conditions.headers_of(stored)
    conditions.require_unchanged(call.headers, stored, is_write=False)
    _note(call, stored.object_type, stored.pk)
    if conditions.is_unchanged(call.headers, stored):
        return Answer(status=304, headers=headers)
    return Answer(body=reading.as_json(stored, fields, call.version), headers=headers)


@contextmanager
def _unchanged(call: Call, stored: reading.Stored) -> Iterator[None]:
    """Let the block write the record if it is as the caller believes it to be; nobody changes it in between."""
    model = stored.object_type.model
    if model is None or not conditions.is_conditional(call.headers):
        yield
        return
    with transaction.atomic(using=router.db_for_write(model)):
        conditions.require_unchanged(call.headers, reading.held(stored, call.user))
        yield


def _note(call: Call, object_type: ObjectType, pk: int) -> None:
    """Remember that the caller dealt with the record, if the caller wants that."""
    if _UPDATES_RECENT.search(call.headers.get("Sforce-Mru", "")):
        recently.note(call.user, object_type, [pk])


def _only(call: Call, object_type: ObjectType, field: str, value: str) -> reading.Stored:
    if field.lower() == "id":
        return reading.find(object_type, value, call.user)
    key = reading.external_id_field(object_type, field, call.user)
    found = reading.find_by_external_id(object_type, key, value, call.user)
    if not found:
        raise NoSuchResource
    if len(found) > 1:
        raise SeveralRecords(object_type.api_name, [stored.record_id for stored in found])
    return found[0]


def _fields(call: Call) -> dict[str, Any]:
    content_type = call.headers.get("Content-Type", "")
    if isinstance(call.body, bytes) and multipart.is_multipart(content_type):
        given = multipart.read_fields(content_type, call.body)
    else:
        given = call.json_object()
    return {name: value for name, value in given.items() if name != "attributes"}


def _refuse_in_body(row: Mapping[str, Any], name: str) -> None:
    if any(given.lower() == name.lower() for given in row):
        raise IdMisplaced(f"The {name} field should not be specified in the sobject data.", fields=[name])


resource("sobjects/{name}", get=describe_shortly, post=create)
resource("sobjects/{name}/{record_id}", get=read, patch=update, post=post_to_record, delete=delete)
