"""What a search asks for, however it was written."""

from dataclasses import dataclass
from enum import StrEnum

from records.search_index import Expression

__all__ = ["MAX_FOUND", "MAX_OBJECTS", "Returned", "Scope", "Search"]

MAX_FOUND = 2_000
"""Records that one search finds at most, of each object and of all together."""

MAX_OBJECTS = 20
"""Objects that a search may name."""


class Scope(StrEnum):
    """In which fields to look."""

    ALL = "ALL"
    NAME = "NAME"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    SIDEBAR = "SIDEBAR"
    """Names, mail addresses, telephone numbers, and what outside systems and auto-numbers call a record."""


@dataclass(frozen=True, kw_only=True)
class Returned:
    """One object in which to search, and what to return of the records found."""

    object_name: str
    source: str = "Id"
    """As it stands within the parentheses: `Id, Name WHERE … ORDER BY … LIMIT …`."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search."""

    expression: Expression
    scope: Scope = Scope.ALL
    returned: tuple[Returned, ...] = ()
    """In this order; empty for every object that the caller sees."""
    source: str = "Id"
    """What to return of records of objects that are not named."""
    limit: int = MAX_FOUND
    """Records altogether."""
