"""A document in pieces, so that a call reads what it needs of it and no more.

A document is cut where documents repeat themselves: a piece is one path, one schema, one of whatever else a component
list holds. Pieces stand in pages of some tens of kilobytes, in the order of their pointers, as in a sorted table; who
knows the first pointer of each page finds any piece by bisection. A version's pages never change.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from callouts.external_services.document import pointers
from callouts.external_services.document.pointers import PointsNowhere
from callouts.external_services.document.reading import encoded

__all__ = ["BUNDLED", "PagedContent", "decoded_page", "paged"]

BUNDLED = "x-isthmus-documents"
"""The key under which the other documents of a set stand in the one that was registered."""

PAGE_BYTES = 48 * 1024
_CUT_TWICE = frozenset({"paths", "definitions", "parameters", "responses", "webhooks", "x-webhooks"})
_CUT_THRICE = frozenset({"components"})
_DEEPEST_CUT = 5


def paged(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the pages of a document: the first pointer of each, and a JSON object of pieces by their pointers."""
    pages: list[tuple[str, str]] = []
    first, size = "", 0
    parts: list[bytes] = []
    for pointer, piece in sorted(_pieces(content, ""), key=lambda found: found[0]):
        text = b"%s:%s" % (encoded(pointer), encoded(piece))
        if parts and size + len(text) > PAGE_BYTES:
            pages.append((first, f"{{{b','.join(parts).decode()}}}"))
            parts, size = [], 0
        if not parts:
            first = pointer
        parts.append(text)
        size += len(text)
    pages.append((first, f"{{{b','.join(parts).decode()}}}"))
    return pages


def _pieces(content: dict[str, Any], base: str) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        at = pointers.join(key, base=base)
        if key in _CUT_TWICE:
            yield from _entries(value, at)
        elif key in _CUT_THRICE and isinstance(value, dict) and value:
            for kind, entries in value.items():
                yield from _entries(entries, pointers.join(kind, base=at))
        elif key == BUNDLED and isinstance(value, dict):
            for name, document in value.items():
                yield from _document(document, pointers.join(name, base=at))
        else:
            yield at, value


def _entries(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, entry in value.items():
            yield pointers.join(name, base=at), entry
    else:
        yield at, value


def _document(document: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Cut a document of a set as its own kind asks for: one that is a single schema stays whole."""
    if isinstance(document, dict) and not (_CUT_TWICE | _CUT_THRICE).isdisjoint(document):
        yield from _pieces(document, at)
    else:
        yield at, document


class PagedContent:
    """A document in the database. Reads pages when they are needed, through `load`, which may remember them."""

    def __init__(self, starts: Sequence[str], load: Callable[[int], dict[str, Any]], anchors: dict[str, str]) -> None:
        """`starts`: the first pointer of each page. `load` returns the pieces of the page of a number."""
        self._starts = starts
        self._load = load
        self._anchors = anchors

    def at(self, pointer: str) -> Any:
        """Return what is at a pointer. Raises `PointsNowhere` and `InvalidPointer`."""
        parts = pointers.parse(pointer)
        prefix = ""
        for depth, part in enumerate(parts[:_DEEPEST_CUT], 1):
            prefix = pointers.join(part, base=prefix)
            page = self._load(max(bisect_right(self._starts, prefix) - 1, 0))
            if prefix in page:
                return pointers.resolve(page[prefix], parts[depth:])
        return self._assembled(pointer)

    def anchored(self, name: str) -> str | None:
        """Return the pointer to the schema with the `$anchor` or `$id` of that name, or `None`."""
        return self._anchors.get(name)

    def _assembled(self, pointer: str) -> Any:
        """Put together what was cut below a pointer."""
        result: dict[str, Any] = {}
        number = max(bisect_right(self._starts, pointer) - 1, 0)
        while number < len(self._starts):
            pieces = self._load(number)
            for at, piece in pieces.items():
                if at.startswith(f"{pointer}/"):
                    _put(result, pointers.parse(at[len(pointer) :]), piece)
            number += 1
            if number < len(self._starts) and self._starts[number] > f"{pointer}/\U0010ffff":
                break
        if not result:
            raise PointsNowhere(f"There is nothing at {pointer!r}.")
        return result


def _put(result: dict[str, Any], parts: list[str], piece: Any) -> None:
    for part in parts[:-1]:
        result = result.setdefault(part, {})
    result[parts[-1]] = piece


def decoded_page(text: str) -> dict[str, Any]:
    """Return the pieces of a page."""
    try:
        found: dict[str, Any] = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        found = json.loads(text)  # lone surrogates
    return found
