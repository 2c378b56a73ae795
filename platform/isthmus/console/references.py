"""What people type when they look for something."""

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

__all__ = ["any_of", "as_number", "as_uuid", "ids_of_kind", "is_known"]

M = TypeVar("M", bound=Model)

_MOST_DIGITS = 18
"""Of a number that both databases hold as a key."""


def as_uuid(text: str) -> UUID | None:
    """Return the UUID that the text is, or `None` when it is something else."""
    try:
        return UUID(text)
    except ValueError:
        return None


def as_number(text: str) -> int | None:
    """Return the key that the text is, with or without a leading `#`; `None` when it is something else."""
    digits = text.removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def ids_of_kind(kind: str, entry_ids: Iterable[str]) -> list[str]:
    """Return what follows the kind in ids of that kind: of `operation:0198…` the part behind the colon."""
    parts = (entry_id.partition(":") for entry_id in entry_ids)
    return [rest for found, _, rest in parts if found == kind]


def any_of(rows: QuerySet[M], *conditions: Q) -> QuerySet[M]:
    """Return the rows that any condition holds for, each looked for in an index of its own.

    Where a statement says OR and asks for an order, a database may rather walk through all rows in that order.
    """
    found = [rows.model._base_manager.filter(condition).order_by().values("pk") for condition in conditions]
    return rows.filter(pk__in=found[0].union(*found[1:]) if len(found) > 1 else found[0])


def is_known(**given: str) -> Q:
    """Return the condition that a column has this text, as databases match it with an index that leaves "" out."""
    ((name, text),) = given.items()
    return Q(**{name: text}) & ~Q(**{name: ""})
