"""Where in a text a JSON pointer leads: the line that a reader looks for.

>>> from callouts.external_services.document.reading import Source
>>> lines_of(Source(text='{\\n  "paths": {\\n    "/a": {}\\n  }\\n}', format="json"), ["/paths/~1a"])
{'/paths/~1a': 3}
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from callouts.external_services.document import pointers
from callouts.external_services.document.reading import Source

__all__ = ["lines_of"]

_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(slots=True)
class _Wanted:
    """A tree of the pointers that are looked for."""

    pointer: str | None = None
    children: "dict[str, _Wanted]" = field(default_factory=dict)


def lines_of(source: Source, wanted: Iterable[str]) -> dict[str, int]:
    """Return the line, from 1, of each pointer; one that leads nowhere gets the line where its way ends."""
    asked = list(wanted)
    root = _Wanted()
    for pointer in asked:
        node = root
        for part in pointers.parse(pointer):
            node = node.children.setdefault(part, _Wanted())
        node.pointer = pointer
    found: dict[str, int] = {"": 1}
    if source.format == "json":
        _JsonLines(source.text, found).walk(root)
    else:
        _find_in_yaml(source.text, root, found)
    return {pointer: found[_nearest(pointer, found)] for pointer in asked}


def _nearest(pointer: str, found: dict[str, int]) -> str:
    while pointer not in found:
        pointer = pointer.rpartition("/")[0]
    return pointer


class _JsonLines:
    """Walks only where something is looked for; all else is skipped by the decoder."""

    def __init__(self, text: str, found: dict[str, int]) -> None:
        self._text = text
        self._found = found
        self._skip = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # what raw_decode itself calls
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def walk(self, root: _Wanted) -> None:
        # Ways are as long as pointers, so this recursion is as deep as the longest pointer.
        self._value(self._space(0), root, "")

    def _space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _value(self, at: int, node: _Wanted, pointer: str) -> int:
        opening = self._text[at]
        if not node.children or opening not in "{[":
            end: int = self._skip(self._text, at)[1]
            return end
        at = self._space(at + 1)
        index = 0
        while self._text[at] not in "}]":
            started = at
            if opening == "{":
                name, at = self._skip(self._text, at)
                at = self._space(self._space(at) + 1)
            else:
                name = str(index)
            child = node.children.get(name)
            if child is None:
                at = self._skip(self._text, at)[1]
            else:
                below = pointers.join(name, base=pointer)
                self._found[below] = bisect_right(self._breaks, started) + 1
                at = self._value(at, child, below)
            at = self._space(at)
            if self._text[at] == ",":
                at = self._space(at + 1)
            index += 1
        return at + 1


@dataclass(slots=True)
class _Open:
    node: _Wanted | None
    pointer: str
    is_mapping: bool
    key: str | None = None
    key_line: int = 0
    index: int = 0


def _find_in_yaml(text: str, root: _Wanted, found: dict[str, int]) -> None:
    stack: list[_Open] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            stack.pop()
            continue
        if not isinstance(event, ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent):
            continue
        node, pointer = (root, "") if not stack else _child(stack[-1], event, found)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            stack.append(_Open(node, pointer, isinstance(event, MappingStartEvent)))


def _child(parent: _Open, event: Any, found: dict[str, int]) -> tuple[_Wanted | None, str]:
    """Return what is looked for in the value that an event begins, and its pointer."""
    line = event.start_mark.line + 1
    if parent.is_mapping and parent.key is None:
        parent.key = getattr(event, "value", "")
        parent.key_line = line
        return None, ""
    name = parent.key if parent.is_mapping else str(parent.index)
    parent.index += 1
    at = parent.key_line if parent.is_mapping else line
    parent.key = None
    child = parent.node.children.get(name or "") if parent.node else None
    if child is None:
        return None, ""
    pointer = pointers.join(name or "", base=parent.pointer)
    found[pointer] = at
    return child, pointer
