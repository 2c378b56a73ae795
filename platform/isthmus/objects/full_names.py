"""Users' full names, as queries reach them: `first_name__full_name` of a user, or of whatever names one.

Django's user has no column for it, and none can be added; a transform of the first name looks at the last one, too.
"""

from typing import Any, cast

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models.expressions import Col
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

__all__ = ["FULL_NAME", "FullName"]

FULL_NAME = "first_name__full_name"


class FullName(models.Transform):
    """First and last name of a user, or the user name where both are empty."""

    lookup_name = "full_name"
    output_field = models.CharField(max_length=301)

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        """Return the SQL, on any database."""
        first = cast("Col", self.lhs)
        both = Trim(Concat(first, models.Value(" "), _beside(first, "last_name"), output_field=models.CharField()))
        empty = models.Value("", output_field=models.CharField())
        return compiler.compile(Coalesce(NullIf(both, empty), _beside(first, "username")))


def _beside(column: Col, name: str) -> Col:
    return Col(cast("Any", column).alias, cast("Any", get_user_model()._meta.get_field(name)))


cast("Any", get_user_model()._meta.get_field("first_name")).register_lookup(FullName)
