"""YAML by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), for documents from outside.

PyYAML's own loaders follow YAML 1.1, where `no` is false, `2024-01-01` a date and `12:30:45` a number; documents that
say so mean texts. Only libyaml's parser is used here; the values are built from its events, so that aliases are
counted by what they stand for, keys are texts, and nothing but JSON's types comes out.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.errors import DocumentUnreadable

__all__ = ["load"]

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}binary", "!"}
_PLAIN_TAGS = {f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"}
_COLLECTION_TAGS = {f"{_TAG}map", f"{_TAG}seq", f"{_TAG}omap", f"{_TAG}set", "!"}
_STARTS_LIKE_A_CONSTANT = frozenset("~nNtTfF+-.0123456789")
_EVENTS_BETWEEN_TIME_CHECKS = 20_000


def load(text: str, limits: DocumentLimits, repeated: list[str] | None = None) -> Any:
    """Return the one document in `text` as dicts, lists and scalars that JSON knows.

    Collections that an alias repeats are the same object. Of a key that occurs twice in a mapping the last one counts;
    it is added to `repeated`. Raises `DocumentUnreadable` (with line and column) and
    `DocumentTooLarge`.
    """
    try:
        return _Builder(limits, repeated if repeated is not None else []).build(
            yaml.parse(text, Loader=yaml.CSafeLoader)
        )
    except UnicodeEncodeError as error:
        raise DocumentUnreadable("The document is no Unicode text.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise DocumentUnreadable(f"The document is not YAML: {problem}{_at(mark)}.") from error


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    nodes: int = 1
    key: str | None = None
    is_merging: bool = False
    merged: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    nodes: int


class _Builder:
    def __init__(self, limits: DocumentLimits, repeated: list[str]) -> None:
        self._limits = limits
        self._repeated = repeated
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._documents = 0
        self._root: Any = None

    def build(self, events: Iterator[Event]) -> Any:
        for count, event in enumerate(events):
            if count % _EVENTS_BETWEEN_TIME_CHECKS == 0:
                self._limits.check_time()
            self._take(event)
        if not self._documents:
            raise DocumentUnreadable("The document is empty.")
        return self._root

    def _take(self, event: Event) -> None:
        if isinstance(event, ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._start(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end(event)
        elif isinstance(event, AliasEvent):
            self._take_alias(event)
        elif isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise DocumentUnreadable(f"There is more than one YAML document{_at(event.start_mark)}.")
        elif not isinstance(event, DocumentEndEvent | StreamStartEvent | StreamEndEvent):
            raise DocumentUnreadable(f"Unexpected content{_at(event.start_mark)}.")

    def _take_scalar(self, event: ScalarEvent) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.key is None and isinstance(parent.value, dict):
            # Keys stay as they are written: a response is keyed `200`, and JSON knows only texts.
            self._set_key(parent, event.value)
            parent.is_merging = event.value == "<<" and event.implicit[0]
            return
        value = _scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1)
        self._place(value, 1, event)

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._limits.check_depth(len(self._open) + 1)
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            raise DocumentUnreadable(f"The tag {event.tag} is not known{_at(event.start_mark)}.")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open({} if isinstance(event, MappingStartEvent) else [], event.anchor))

    def _end(self, event: Event) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for source in done.merged:
                for key, value in source.items():
                    done.value.setdefault(key, value)
        if done.anchor is not None:
            self._anchors[done.anchor] = _Anchored(done.value, done.nodes)
        self._place(done.value, done.nodes, event)

    def _take_alias(self, event: AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise DocumentUnreadable(f"The alias *{event.anchor} has no anchor before it{_at(event.start_mark)}.")
        found = self._anchors[event.anchor]
        if found is None:
            raise DocumentUnreadable(f"The alias *{event.anchor} contains itself{_at(event.start_mark)}.")
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.key is None and isinstance(parent.value, dict):
            if isinstance(found.value, dict | list):
                raise DocumentUnreadable(f"A key is a text{_at(event.start_mark)}.")
            self._set_key(parent, str(found.value))
            return
        self._place(found.value, found.nodes, event)

    def _place(self, value: Any, nodes: int, event: Event) -> None:
        if not self._open:
            self._limits.check_nodes(nodes)
            self._root = value
            return
        parent = self._open[-1]
        parent.nodes += nodes
        self._limits.check_nodes(parent.nodes)
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            raise DocumentUnreadable(f"A key is a text{_at(event.start_mark)}.")
        else:
            if parent.is_merging:
                parent.merged.extend(_merge_sources(value, event))
            else:
                parent.value[parent.key] = value
            parent.key, parent.is_merging = None, False

    def _set_key(self, parent: _Open, key: str) -> None:
        if key in parent.value:
            self._repeated.append(key)
        parent.key = key


def _merge_sources(value: Any, event: Event) -> list[dict[str, Any]]:
    """Return what a `<<` key merges; YAML 1.2 dropped it, documents did not."""
    sources = value if isinstance(value, list) else [value]
    if not all(isinstance(source, dict) for source in sources):
        raise DocumentUnreadable(f"Only mappings can be merged with <<{_at(event.start_mark)}.")
    return sources


def _scalar(event: ScalarEvent) -> Any:
    is_plain, _ = event.implicit
    if event.tag is not None and event.tag not in _PLAIN_TAGS:
        if event.tag in _TEXT_TAGS:
            return event.value
        raise DocumentUnreadable(f"The tag {event.tag} is not known{_at(event.start_mark)}.")
    if event.tag is None and not is_plain:
        return event.value
    return _plain(event.value, event)


def _plain(text: str, event: Event) -> Any:
    """Return the value of an unquoted scalar."""
    if text and text[0] not in _STARTS_LIKE_A_CONSTANT:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    try:
        if _INT.fullmatch(text):
            return int(text)
        if _OCTAL.fullmatch(text):
            return int(text, 0)
        if _HEX.fullmatch(text):
            return int(text, 0)
    except ValueError as error:  # Python refuses to read thousands of digits
        raise DocumentUnreadable(f"The number is too long{_at(event.start_mark)}.") from error
    number = float(text) if _FLOAT.fullmatch(text) else None
    if _NOT_JSON.fullmatch(text) or (number is not None and math.isinf(number)):
        raise DocumentUnreadable(f"JSON knows no number {text}{_at(event.start_mark)}.")
    return text if number is None else number


def _at(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
