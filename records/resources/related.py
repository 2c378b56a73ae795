"""What lies below a record: the records it refers to, those that refer to it, and its blobs.

`…/Contact/{id}/Account/Owner` is the owner of the contact's account, `…/Account/{id}/Contacts` a list, and
`…/Document/{id}/Body` bytes. The same paths with a field for the id (`…/Account/External_Reference__c/R-1`) name a
record by what an outside system calls it.
"""

from typing import Any
from urllib.parse import quote, urlencode

from django.db import models

from isthmus.objects import sharing
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import can_read_field, readable_child, readable_parent
from isthmus.objects.reading import live_rows
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, decode
from isthmus.objects.relationships import ChildRelationship
from records import reading
from records.calls import Answer, Call
from records.errors import MethodRefused, NoSuchResource, ParameterRefused
from records.resources import sobjects
from records.routing import resource

__all__: list[str] = []

MAX_DEPTH = 5
"""How many relationships a path may follow, as in a query."""

PAGE_SIZE = 2_000
"""How many children one answer holds."""

_READ_ONLY = ["GET"]


def read(call: Call, name: str, first: str, rest: str) -> Answer:
    """Give the record, the list or the bytes at the end of the path."""
    object_type = reading.object_of(name, call.user)
    if not _is_id(object_type, first):
        return sobjects.read_by_external_id(call, name, first, rest)
    stored, last = _follow(call, object_type, first, rest)
    children = readable_child(call.user, stored.object_type, last) if last else None
    if children is not None:
        return _list(call, stored, children, f"{call.base}/sobjects/{object_type}/{first}/{quote(rest)}")
    if last:
        return _bytes(call, stored, last)
    fields = reading.fields_asked(stored.object_type, call.query.get("fields"), call.user)
    return sobjects.given(call, stored, fields)


def change(call: Call, name: str, first: str, rest: str) -> Answer:
    """Change the record at the end of the path."""
    object_type = reading.object_of(name, call.user)
    if not _is_id(object_type, first):
        return sobjects.upsert(call, name, first, rest)
    return sobjects.change(call, _record_at(call, name, first, rest))


def remove(call: Call, name: str, first: str, rest: str) -> Answer:
    """Move the record at the end of the path to the recycle bin."""
    object_type = reading.object_of(name, call.user)
    if not _is_id(object_type, first):
        return sobjects.delete_by_external_id(call, name, first, rest)
    stored = _record_at(call, name, first, rest)
    return sobjects.remove(call, stored.object_type, stored.record_id)


def _is_id(object_type: ObjectType, piece: str) -> bool:
    """Tell a record's id from a field, which comes first where a text could be both."""
    if object_type.find_field(piece) is not None:
        return False
    try:
        return decode(piece)[0] == object_type.key_prefix
    except MalformedId:
        return False


def _record_at(call: Call, name: str, record_id: str, path: str) -> reading.Stored:
    stored, last = _follow(call, reading.object_of(name, call.user), record_id, path)
    if not last:
        return stored
    if readable_child(call.user, stored.object_type, last) is None and _blob_field(call, stored, last) is None:
        raise NoSuchResource
    raise MethodRefused(call.method, _READ_ONLY)


def _follow(call: Call, object_type: ObjectType, record_id: str, path: str) -> tuple[reading.Stored, str]:
    """Go from parent to parent as far as the path does; return the record, and what is left: one name, or ""."""
    names = path.split("/")
    if len(names) > MAX_DEPTH:
        raise ParameterRefused(f"A path follows at most {MAX_DEPTH} relationships.")
    stored = reading.find(object_type, record_id, call.user)
    for place, name in enumerate(names):
        parent = readable_parent(call.user, stored.object_type, name)
        if parent is None:
            if place < len(names) - 1:
                raise NoSuchResource
            return stored, name
        key = stored.row[parent.field.attname]
        if key is None:
            raise NoSuchResource(f"The record has no {parent.name}.")
        stored = reading.find_by_key(parent.target, key, call.user)
    return stored, ""


def _list(call: Call, stored: reading.Stored, children: ChildRelationship, path: str) -> Answer:
    owner, model = children.owner, children.owner.model
    if model is None:
        raise NoSuchResource
    fields = reading.fields_asked(owner, call.query.get("fields"), call.user)
    rows: models.QuerySet[Any] = live_rows(model).filter(**{children.field.attname: stored.pk})
    seen = sharing.visible(call.user, owner, rows)
    pks = list(seen.filter(pk__gt=_after(call, owner)).order_by("pk").values_list("pk", flat=True)[: PAGE_SIZE + 1])
    page = reading.find_all(owner, pks[:PAGE_SIZE], call.user)
    done = len(pks) <= PAGE_SIZE
    body: dict[str, Any] = {"totalSize": seen.count(), "done": done}
    if not done:
        asked = {"fields": call.query["fields"]} if "fields" in call.query else {}
        body["nextRecordsUrl"] = f"{path}?{urlencode({**asked, 'after': page[-1].record_id})}"
    body["records"] = [reading.as_json(one, fields, call.version) for one in page]
    return Answer(body=body)


def _after(call: Call, owner: ObjectType) -> int:
    given = call.query.get("after")
    if given is None:
        return 0
    try:
        prefix, pk = decode(given)
    except MalformedId as error:
        raise ParameterRefused(error.message) from error
    if prefix != owner.key_prefix:
        raise ParameterRefused(f"The parameter after is no id of {owner}.")
    return min(pk, MAX_PRIMARY_KEY)


def _bytes(call: Call, stored: reading.Stored, name: str) -> Answer:
    field = _blob_field(call, stored, name)
    if field is None:
        raise NoSuchResource
    # Whatever it is, a browser shall not take it for a page of ours.
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(body=reading.blob_of(stored, field), headers=headers)


def _blob_field(call: Call, stored: reading.Stored, name: str) -> FieldType | None:
    field = stored.object_type.find_field(name)
    if field is None or field.type is not FieldKind.BASE64:
        return None
    return field if can_read_field(call.user, stored.object_type, field) else None


resource("sobjects/{name}/{first}/{rest*}", get=read, patch=change, delete=remove)
