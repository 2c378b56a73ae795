"""The records that the caller dealt with last."""

from typing import Any

from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.permissions import can_read_field
from records import reading, recently
from records.calls import Answer, Call
from records.errors import ParameterRefused
from records.routing import resource

__all__ = ["listed"]


def recent(call: Call) -> Answer:
    """List them, the latest first; `limit` says how many, and more than are remembered is all of them."""
    return Answer(body=listed(call, _limit(call.query.get("limit"))))


def listed(call: Call, most: int = recently.MOST, *, only: ObjectType | None = None) -> list[dict[str, Any]]:
    """Return the entries of the list, of one object if it is given."""
    used = recently.last_used(call.user, most, only=only)
    by_object: dict[ObjectType, list[int]] = {}
    for object_type, pk in used:
        by_object.setdefault(object_type, []).append(pk)
    entries: dict[tuple[ObjectType, int], dict[str, Any]] = {}
    for object_type, pks in by_object.items():
        name = _name_field(call, object_type)
        for stored in reading.find_all(object_type, pks, call.user):
            entry = reading.as_json(stored, [object_type.field("Id")], call.version)
            entry["Name"] = None if name is None else stored.row.get(name.attname)
            entries[object_type, stored.pk] = entry
    return [entries[one] for one in used if one in entries]


def _name_field(call: Call, object_type: ObjectType) -> FieldType | None:
    found = next((field for field in object_type.fields if field.name_field), None)
    return found if found is not None and can_read_field(call.user, object_type, found) else None


def _limit(given: str | None) -> int:
    if given is None:
        return recently.MOST
    if not (given.isascii() and given.isdecimal() and 0 < len(given) <= 9 and int(given) > 0):
        raise ParameterRefused(f"The parameter limit is a whole number from 1 on, not {given[:20]}.")
    return min(int(given), recently.MOST)


resource("recent", get=recent)
