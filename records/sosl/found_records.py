"""What is returned of the records that a search found: the inside of the parentheses after an object's name.

**The one place where search meets queries.**
"""

from collections.abc import Sequence
from typing import Any

from isthmus.objects.object_types import ObjectType
from records.calls import Call
from records.soql import running

__all__ = ["run_found"]


def run_found(call: Call, object_type: ObjectType, source: str, pks: Sequence[int]) -> list[dict[str, Any]]:
    """Return records as JSON, none but those of these primary keys, in their order unless `source` names one.

    `source`: `Id, Name WHERE … ORDER BY … LIMIT … OFFSET …`. Raises `QueryError`s.
    """
    return running.run_among(source, object_type.api_name, pks, running.Asked(user=call.user, base=call.base))
