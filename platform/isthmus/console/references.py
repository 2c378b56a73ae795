"""What people type when they look for something."""

from collections.abc import Iterable
from uuid import UUID

__all__ = ["as_number", "as_uuid", "ids_of_kind"]

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
