"""Following `$ref` within one document, when asked and no further; nothing is fetched or copied."""

from typing import Any, Protocol
from urllib.parse import unquote

from callouts.external_services.document import pointers

__all__ = ["BrokenReference", "Content", "Pieces", "reference_of", "resolve", "target_of"]


class BrokenReference(Exception):
    """A reference leads nowhere that we go."""

    def __init__(self, pointer: str, reason: str) -> None:
        self.pointer = pointer
        """Where the reference stands."""
        self.reason = reason
        super().__init__(f"{pointer}: {reason}")


class Pieces(Protocol):
    """Something that has pieces at JSON pointers: a document in memory, or one in the database."""

    def at(self, pointer: str) -> Any:
        """Return what is at a pointer. Raises `PointsNowhere` and `InvalidPointer`."""

    def anchored(self, name: str) -> str | None:
        """Return the pointer to the schema with the `$anchor` or `$id` of that name, or `None`."""


class Content:
    """A document in memory."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self._anchors: dict[str, str] | None = None

    def at(self, pointer: str) -> Any:
        """Return what is at a pointer. Raises `PointsNowhere` and `InvalidPointer`."""
        return pointers.resolve(self._content, pointer)

    def anchored(self, name: str) -> str | None:
        """Return the pointer to the schema with the `$anchor` or `$id` of that name, or `None`."""
        return self.anchors.get(name)

    @property
    def anchors(self) -> dict[str, str]:
        """Pointers to schemas by `#name` of their `$anchor`, and by their `$id`."""
        if self._anchors is None:
            self._anchors = dict(_anchors(self._content))
        return self._anchors


def _anchors(content: Any) -> list[tuple[str, str]]:
    found = []
    waiting: list[tuple[Any, str]] = [(content, "")]
    while waiting:
        value, at = waiting.pop()
        if isinstance(value, dict):
            for keyword, mark in (("$anchor", "#"), ("$dynamicAnchor", "#"), ("$id", "")):
                if isinstance(value.get(keyword), str):
                    found.append((mark + value[keyword], at))
            waiting.extend(
                (child, pointers.join(key, base=at)) for key, child in value.items() if isinstance(child, dict | list)
            )
        elif isinstance(value, list):
            waiting.extend(
                (child, pointers.join(index, base=at))
                for index, child in enumerate(value)
                if isinstance(child, dict | list)
            )
    return found


def reference_of(value: Any) -> str | None:
    """Return the reference that `value` is, or `None`. A property that is *named* `$ref` has no text as its value."""
    reference = value.get("$ref") if isinstance(value, dict) else None
    return reference if isinstance(reference, str) else None


def target_of(reference: str, *, at: str, pieces: Pieces | None = None) -> str:
    """Return the JSON pointer that a reference standing at the pointer `at` names. Raises `BrokenReference`."""
    if reference.startswith(("#/", "#")) and (pointer := _pointer(reference)) is not None:
        return pointer
    anchored = pieces.anchored(reference) if pieces is not None else None
    if anchored is not None:
        return anchored
    if not reference.startswith("#"):
        raise BrokenReference(at, f"it refers to another document ({reference[:200]}), which is not there")
    raise BrokenReference(at, f"{reference[:200]} is no JSON pointer into this document")


def _pointer(reference: str) -> str | None:
    pointer = unquote(reference[1:]) if "%" in reference else reference[1:]
    try:
        pointers.parse(pointer)
    except pointers.InvalidPointer:
        return None
    return pointer


def resolve(pieces: Pieces, value: Any, pointer: str) -> tuple[Any, str]:
    """Return what `value`, which stands at `pointer`, refers to in the end, and the pointer to that.

    What is no reference is returned as it is. Raises `BrokenReference`.
    """
    start, seen = pointer, {pointer}
    while (reference := reference_of(value)) is not None:
        target = target_of(reference, at=pointer, pieces=pieces)
        if target in seen:
            raise BrokenReference(start, "it refers to itself")
        seen.add(target)
        try:
            value = pieces.at(target)
        except pointers.PointsNowhere:
            raise BrokenReference(pointer, f"there is nothing at {reference[:200]}") from None
        pointer = target
    return value, pointer
