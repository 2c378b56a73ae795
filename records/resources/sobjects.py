"""Single records: create, read, change and delete them, by their id or by what an outside system calls them.

Paths: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_retrieve.htm
"""

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.objects.describe import summarize_object
from isthmus.objects.object_types import FieldType, ObjectType
from records import conditions, reading, writing
from records.calls import Answer, Call
from records.errors import IdMisplaced, MethodRefused, NoSuchResource, SeveralRecords
from records.routing import resource
from records.writing import Operation

__all__: list[str] = []


def describe_shortly(call: Call, name: str) -> Answer:
    """Describe an object in short."""
    object_type = reading.object_of(name, call.user)
    summary = summarize_object(object_type, user=call.user, version=call.version)
    return Answer(body={"objectDescribe": summary, "recentItems": []})


def create(call: Call, name: str) -> Answer:
    """Create a record."""
    object_type = reading.object_to_write(name)
    result = writing.save_one(call.user, object_type, Operation.CREATE, _fields(call))
    location = {"Location": f"{call.base}/sobjects/{object_type}/{result.id}"}
    return Answer(status=201, body=writing.result_body(result), headers=location)


def read(call: Call, name: str, record_id: str) -> Answer:
    """Give a record, or the fields of it that are asked for."""
    object_type = reading.object_of(name, call.user)
    fields = reading.fields_asked(object_type, call.query.get("fields"), call.user)
    return _given(call, reading.find(object_type, record_id, call.user), fields)


def update(call: Call, name: str, record_id: str) -> Answer:
    """Change a record."""
    return _change(call, reading.object_of(name, call.user), record_id)


def post_to_record(call: Call, name: str, record_id: str) -> Answer:
    """Change a record, for callers that cannot send PATCH (`?_HTTP_METHOD=PATCH`); create one as `…/Id`."""
    if record_id.lower() == "id":
        return create(call, name)
    if call.query.get("_HTTP_METHOD", "").upper() != "PATCH":
        raise MethodRefused("POST", ["DELETE", "GET", "PATCH"])
    return update(call, name, record_id)


def delete(call: Call, name: str, record_id: str) -> Answer:
    """Move a record to the recycle bin."""
    writing.save_one(call.user, reading.object_of(name, call.user), Operation.DELETE, {"Id": record_id})
    return Answer(status=204)


def read_by_external_id(call: Call, name: str, field: str, value: str) -> Answer:
    """Give the record that an outside system knows by this value."""
    object_type = reading.object_of(name, call.user)
    fields = reading.fields_asked(object_type, call.query.get("fields"), call.user)
    return _given(call, _only(call, object_type, field, value), fields)


def upsert(call: Call, name: str, field: str, value: str) -> Answer:
    """Create or update the record that an outside system knows by this value."""
    object_type = reading.object_to_write(name)
    if field.lower() == "id":
        return _change(call, object_type, value)
    key = reading.key_field(object_type, field)
    row = _fields(call)
    _refuse_in_body(row, key.api_name)
    if call.flag("updateOnly") or "If-Match" in call.headers or "If-Unmodified-Since" in call.headers:
        conditions.require_unchanged(call.headers, _only(call, object_type, field, value))
    result = writing.save_one(
        call.user, object_type, Operation.UPSERT, {**row, key.api_name: value}, external_id_field=key.api_name
    )
    body = {**writing.result_body(result), "created": result.created}
    if not result.created:
        return Answer(body=body)
    location = {"Location": f"{call.base}/sobjects/{object_type}/{result.id}"}
    return Answer(status=201, body=body, headers=location)


def delete_by_external_id(call: Call, name: str, field: str, value: str) -> Answer:
    """Move the record that an outside system knows by this value to the recycle bin."""
    object_type = reading.object_of(name, call.user)
    stored = _only(call, object_type, field, value)
    writing.save_one(call.user, object_type, Operation.DELETE, {"Id": stored.record_id})
    return Answer(status=204)


def _change(call: Call, object_type: ObjectType, record_id: str) -> Answer:
    row = _fields(call)
    _refuse_in_body(row, "Id")
    stored = reading.find(object_type, record_id, call.user)
    conditions.require_unchanged(call.headers, stored)
    writing.save_one(call.user, object_type, Operation.UPDATE, {**row, "Id": stored.record_id})
    return Answer(status=204)


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


def _given(call: Call, stored: reading.Stored, fields: Sequence[FieldType]) -> Answer:
    headers = conditions.headers_of(stored)
    conditions.require_unchanged(call.headers, stored, is_write=False)
    if conditions.is_unchanged(call.headers, stored):
        return Answer(status=304, headers=headers)
    return Answer(body=reading.as_json(stored, fields, call.version), headers=headers)


def _fields(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.json_object().items() if name != "attributes"}


def _refuse_in_body(row: Mapping[str, Any], name: str) -> None:
    if any(given.lower() == name.lower() for given in row):
        raise IdMisplaced(f"The {name} field should not be specified in the sobject data.", fields=[name])


resource("sobjects/{name}", get=describe_shortly, post=create)
resource("sobjects/{name}/{record_id}", get=read, patch=update, post=post_to_record, delete=delete)
resource(
    "sobjects/{name}/{field}/{value*}",
    get=read_by_external_id,
    patch=upsert,
    delete=delete_by_external_id,
)
