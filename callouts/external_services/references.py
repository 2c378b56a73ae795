"""Following `$ref` within one document, when asked and no further; nothing is fetched or copied."""

from typing import Any
from urllib.parse import unquote

from callouts.external_services import pointers

__all__ = ["BrokenReference", "reference_of", "resolve", "target_of"]


class BrokenReference(Exception):
    """A reference leads nowhere that we go."""

    def __init__(self, pointer: str, reason: str) -> None:
        self.pointer = pointer
        """Where the reference stands."""
        self.reason = reason
        super().__init__(f"{pointer}: {reason}")


def reference_of(value: Any) -> str | None:
    """Return the reference that `value` is, or `None`. A property that is *named* `$ref` has no text as its value."""
    reference = value.get("$ref") if isinstance(value, dict) else None
    return reference if isinstance(reference, str) else None


def target_of(reference: str, *, at: str) -> str:
    """Return the JSON pointer that a reference standing at the pointer `at` names. Raises `BrokenReference`."""
    if not reference.startswith("#"):
        raise BrokenReference(at, f"it refers to another document ({reference[:200]}), which is not fetched")
    pointer = unquote(reference[1:])
    try:
        pointers.parse(pointer)
    except pointers.InvalidPointer:
        raise BrokenReference(at, f"{reference[:200]} is no JSON pointer into this document") from None
    return pointer


def resolve(content: dict[str, Any], value: Any, pointer: str) -> tuple[Any, str]:
    """Return what `value`, which stands at `pointer`, refers to in the end, and the pointer to that.

    What is no reference is returned as it is. Raises `BrokenReference`.
    """
    start, seen = pointer, {pointer}
    while (reference := reference_of(value)) is not None:
        target = target_of(reference, at=pointer)
        if target in seen:
            raise BrokenReference(start, "it refers to itself")
        seen.add(target)
        try:
            value = pointers.resolve(content, target)
        except pointers.PointsNowhere:
            raise BrokenReference(pointer, f"there is nothing at {reference[:200]}") from None
        pointer = target
    return value, pointer
