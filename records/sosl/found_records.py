"""What is returned of the records that a search found: the inside of the parentheses after an object's name.

**The one place where search meets queries.**
"""

from collections.abc import Sequence
from typing import Any

from isthmus.objects.object_types import ObjectType
from records.calls import Call
from records.errors import SearchMalformed
from records.soql import running
from records.soql.errors import MalformedQuery

__all__ = ["run_found"]


def run_found(call: Call, object_type: ObjectType, source: str, pks: Sequence[int]) -> list[dict[str, Any]]:
    """Return records as JSON, none but those of these primary keys, in their order unless `source` names one.

    `source`: `Id, Name WHERE … ORDER BY … LIMIT … OFFSET …`. Raises `SearchMalformed` for what cannot be read, and
    `QueryError`s for what there is not.
    """
    asked = running.Asked(user=call.user, base=call.base)
    try:
        return running.run_among(source, object_type.api_name, pks, asked)
    except MalformedQuery as error:
        raise SearchMalformed(f"{object_type}: {error.message}") from error
