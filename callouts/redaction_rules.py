"""What an installation masks in its integration log beyond the names that are known for secrets.

Rules are read from the database at most once a second, by any number of exchanges. Patterns run on an engine that takes
time in proportion to the text, whatever the pattern (https://github.com/google/re2).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import re2
from jsonpath_rfc9535 import JSONPathError, JSONPathQuery
from jsonpath_rfc9535 import compile as compile_path

from isthmus import clock

__all__ = ["NO_RULES", "Rules", "forget", "rules_of", "what_is_wrong"]

MASK = "********"
_KEPT_SECONDS = 1.0


@dataclass(frozen=True)
class Rules:
    """What is masked besides, for one named credential."""

    names: frozenset[str] = frozenset()
    """Headers and parameters, in lower case."""
    paths: tuple[JSONPathQuery, ...] = ()
    patterns: tuple[Any, ...] = field(default=())

    def mask_json(self, value: Any) -> None:
        """Mask in place what the paths find in a parsed body."""
        for path in self.paths:
            for node in path.find(value):
                _mask_at(value, node.location)

    def mask_text(self, text: str) -> str:
        """Return the text with what the patterns find masked."""
        for pattern in self.patterns:
            text = pattern.sub(MASK, text)
        return text


NO_RULES = Rules()

_lock = threading.Lock()
_read: "tuple[float, dict[str, Rules]] | None" = None


def rules_of(named_credential: str, read: Callable[[], list[tuple[str, str, str]]]) -> Rules:
    """Return the rules for a named credential. `read` gives (named credential or "", kind, expression) of all."""
    global _read
    now = clock.monotonic_seconds()
    found = _read
    if found is None or not 0 <= now - found[0] < _KEPT_SECONDS:
        found = (now, _compiled(read()))
        with _lock:
            _read = found
    return found[1].get(named_credential) or found[1].get("", NO_RULES)


def forget(**_: object) -> None:
    """Read anew the next time."""
    global _read
    with _lock:
        _read = None


def what_is_wrong(kind: str, expression: str) -> str:
    """Return why an expression is none of its kind, or "" when it is one."""
    try:
        if kind == "json_path":
            compile_path(expression)
        elif kind == "pattern":
            if _pattern(expression).search("") is not None:
                return "The pattern matches nothing at all as well; that would mask everything."
        elif not expression.strip() or " " in expression.strip():
            return "A header's or parameter's name has no blanks."
    except JSONPathError as error:
        return f"This is not a JSON path: {error}"
    except re2.error as error:
        return f"This is not a pattern: {error}"
    return ""


def _compiled(rows: list[tuple[str, str, str]]) -> dict[str, Rules]:
    everywhere = [row for row in rows if not row[0]]
    by_name: dict[str, list[tuple[str, str, str]]] = {"": everywhere}
    for row in rows:
        if row[0]:
            by_name.setdefault(row[0], list(everywhere)).append(row)
    return {name: _rules(given) for name, given in by_name.items()}


def _rules(rows: list[tuple[str, str, str]]) -> Rules:
    if not rows:
        return NO_RULES
    return Rules(
        names=frozenset(expression.strip().lower() for _, kind, expression in rows if kind == "header"),
        paths=tuple(compile_path(expression) for _, kind, expression in rows if kind == "json_path"),
        patterns=tuple(_pattern(expression) for _, kind, expression in rows if kind == "pattern"),
    )


def _pattern(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(expression, options)


def _mask_at(value: Any, location: tuple[int | str, ...]) -> None:
    if not location:
        return
    holder = value
    for step in location[:-1]:
        holder = holder[step]
    holder[location[-1]] = MASK
