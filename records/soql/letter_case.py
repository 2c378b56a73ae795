"""Letters of every script in lower case, which SQLite cannot do: its LOWER knows the 26 of ASCII."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func
from django.db.models.functions import Lower

__all__ = ["LowerEverywhere", "add_function", "lower"]

_FUNCTION = "isthmus_lower"


class LowerEverywhere(Func):
    """The text in lower case, whatever its script. No index helps with it on SQLite."""

    function = "LOWER"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function=_FUNCTION, **context)


def lower(text: str) -> type[Func]:
    """Return what makes a column comparable with `text`, in lower case both.

    With a text of ASCII alone, letters of other scripts do not match in either case, and an index on LOWER helps.
    """
    return Lower if text.isascii() else LowerEverywhere


def add_function(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Teach a new connection to SQLite the function. A receiver of `connection_created`."""
    if connection.vendor == "sqlite":
        database: Any = connection.connection
        database.create_function(_FUNCTION, 1, _in_lower_case, deterministic=True)


def _in_lower_case(text: Any) -> Any:
    # Letter by letter, as PostgreSQL does it: by itself, what a letter becomes does not depend on its neighbours.
    return "".join(map(str.lower, text)) if isinstance(text, str) else text
