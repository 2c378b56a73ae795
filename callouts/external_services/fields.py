"""A column for JSON that came from outside."""

import json
from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

__all__ = ["JsonTextField"]

if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class JsonTextField(_TextField):
    """JSON kept as text, read and written as Python objects; SQL `NULL` and JSON `null` are both `None`.

    PostgreSQL's `jsonb` refuses U+0000 and lone surrogates, which JSON itself allows and a peer may send:
    https://www.postgresql.org/docs/current/datatype-json.html. What was received must never fail to be stored.
    """

    description = "JSON as text"

    if TYPE_CHECKING:
        # What the type checker's plugin reads: any JSON goes in and comes out.
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_unused: object) -> Any:
        return None if value is None else json.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, cls=DjangoJSONEncoder)

    def to_python(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else json.dumps(value, cls=DjangoJSONEncoder)
