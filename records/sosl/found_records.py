"""What is returned of the records that a search found: the inside of the parentheses after an object's name.

**The one place where search meets queries.** `RunFound` is what whoever runs them has to offer; `run_found` below reads
lists of fields with LIMIT and OFFSET by itself and refuses the rest.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from isthmus.objects import sharing
from isthmus.objects.object_types import FieldKind, ObjectType
from isthmus.objects.reading import live_rows
from records import reading
from records.calls import Call
from records.errors import SearchMalformed

__all__ = ["RunFound", "run_found"]

RunFound: TypeAlias = Callable[[Call, ObjectType, str, Sequence[int]], list[dict[str, Any]]]
"""Returns records as JSON: for a call, an object, `Id, Name WHERE … ORDER BY … LIMIT … OFFSET …` and the primary keys
of the only records that may be among them, in their order unless the text names one."""

_PLAIN = re.compile(
    r"\s*(?P<fields>[a-z][a-z0-9_]*(?:\s*,\s*[a-z][a-z0-9_]*)*)"
    r"(?:\s+LIMIT\s+(?P<limit>[0-9]{1,9}))?(?:\s+OFFSET\s+(?P<offset>[0-9]{1,9}))?\s*",
    re.IGNORECASE,
)


def run_found(call: Call, object_type: ObjectType, source: str, pks: Sequence[int]) -> list[dict[str, Any]]:
    """Return the records of these primary keys. Raises `SearchMalformed`, `FieldUnknown`."""
    asked = _PLAIN.fullmatch(source)
    if asked is None:
        raise SearchMalformed(f"'{source[:100]}' after {object_type} is not supported yet.")
    fields = reading.fields_asked(object_type, asked["fields"], call.user)
    first = int(asked["offset"] or 0)
    wanted = pks[first : first + int(asked["limit"]) if asked["limit"] else None]
    if object_type.model is None or not wanted:
        return []
    rows = sharing.visible(call.user, object_type, live_rows(object_type.model).filter(pk__in=wanted))
    attnames = {field.attname for field in object_type.fields if field.type is not FieldKind.ID}
    stored = {row["pk"]: reading.Stored(object_type, row) for row in rows.values("pk", *sorted(attnames))}
    return [reading.as_json(stored[pk], fields, call.version) for pk in wanted if pk in stored]
